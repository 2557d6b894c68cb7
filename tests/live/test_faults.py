"Every fault in every state of the session, `CAMREDACT_FAULTS` times; and scripts that Hypothesis writes."
import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from kit.kernel_faults import PAIRS, Faults, campaign

TIMES = int(os.environ.get("CAMREDACT_FAULTS", 1))


def test_no_fault_in_no_state_shows_a_pixel() -> None:
    result = campaign(TIMES)
    assert not result["failed"], result["failed"][:3]
    assert result["trials"] == TIMES*len(PAIRS) and result["seen"] > result["trials"]


def test_no_script_of_faults_shows_a_pixel() -> None:
    quiet = settings(deadline=None, max_examples=20, stateful_step_count=30, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Faults, settings=quiet)
