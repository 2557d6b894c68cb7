"The package's own names: few, and imported when they are used."
import subprocess
import sys

CODE = """import sys, camredact
assert "numpy" not in sys.modules, "import camredact alone imports numpy"
assert set(camredact.__all__) == set(camredact._HOMES)
for name in camredact.__all__: getattr(camredact, name)
try: camredact.nothing
except AttributeError as e: print(e)"""


def test_names_of_the_package_are_lazy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "module 'camredact' has no attribute 'nothing'"
