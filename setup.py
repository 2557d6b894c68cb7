"Reads settings.ini, nothing else: package metadata is written there."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

config = ConfigParser(delimiters=["="], interpolation=None)
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
LIVE = "nbs/live.ipynb"  # the one source of the live notebook; a wheel carries a copy as live/static/live.ipynb


def lines(key: str) -> list[str]:
    "The non-empty lines of the setting `key`."
    return [line.strip() for line in cfg[key].splitlines() if line.strip()]


class BuildPy(build_py):
    "Puts settings.ini and the live notebook into the source distribution, and the notebook into wheels."

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), "settings.ini", LIVE]

    def run(self) -> None:
        super().run()
        if not self.editable_mode: self.copy_file(LIVE, f"{self.build_lib}/{cfg['lib_name']}/live/static/live.ipynb")


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    license_expression=cfg["license"],
    license_files=["LICENSE", "NOTICE", "camredact/weights/LICENSE"],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=[f"{cfg['lib_name']}*"]),
    package_data={cfg["lib_name"]: ["py.typed", "live/static/*", "page/static/*", "page/engine/*", "weights/*",
        "leaktest/trees.json"]},
    install_requires=lines("requirements"),
    extras_require={key.removesuffix("_requirements"): lines(key) for key in cfg if key.endswith("_requirements")},
    entry_points={"console_scripts": lines("console_scripts"), "camredact.engines": lines("engines")},
    cmdclass={"build_py": BuildPy},
)
