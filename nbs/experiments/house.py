"""Counts what CHANGELOG.md says of the code's structure, as a row of Markdown for each figure.

    python nbs/experiments/house.py             # this checkout
    python nbs/experiments/house.py BEFORE .    # two, side by side

*Net* lines hold code: blank lines, comments, docstrings and the lines of a parameter list after its first are left out.
"""
import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median, quantiles

EMPTY = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)
FLAT = {"categories", "redact", "segment", "stream", "widget"}  # core and live, before there were rooms


class Module:
    "A file of the package: its lines, names, functions and imports."

    def __init__(self, path: Path, package: Path):
        self.path, self.source = path, path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.source)
        self.name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        self.home = self.name if path.stem == "__init__" else self.name.rpartition(".")[0]

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        "All functions and methods."
        return [node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS)]

    def exported(self) -> list[str]:
        "The names in `__all__`."
        given = [n for n in self.tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
        return ast.literal_eval(given[0].value) if given else []

    def net(self) -> int:
        "Lines with code, without docstrings and parameter lists."
        tokens = tokenize.generate_tokens(io.StringIO(self.source).readline)
        code = {n for t in tokens if t.type not in EMPTY for n in range(t.start[0], t.end[0] + 1)}
        for node in ast.walk(self.tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
                code -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        for node in self.functions(): code -= set(range(node.lineno + 1, node.body[0].lineno))
        return len(code)

    def base(self, node: ast.ImportFrom) -> str:
        "The full name of the module or package that a statement imports from."
        above = self.home.split(".")[:1 - node.level or None] if node.level else []
        return ".".join([*above, *([node.module] if node.module else [])])

    def imports(self) -> Iterator[str]:
        "Full names that may be modules of ours, imported anywhere in the file, by statement or by `import_module`."
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                base = self.base(node)
                yield from (base, *(f"{base}.{alias.name}" for alias in node.names))
            if isinstance(node, ast.Import): yield from (alias.name for alias in node.names)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def graph(modules: list[Module]) -> dict[str, set[str]]:
    "For each module those that it imports."
    names = {m.name for m in modules}
    return {m.name: {n for n in m.imports() if n in names and n != m.name} for m in modules}


def reached(imports: dict[str, set[str]], start: str) -> set[str]:
    "Everything that a module imports, directly or not."
    seen: set[str] = set()
    todo = [*imports[start]]
    while todo:
        name = todo.pop()
        if name in seen: continue
        seen.add(name)
        todo += imports[name]
    return seen


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    "Sets of modules that import one another."
    all_of = {name: reached(imports, name) for name in imports}
    found = {frozenset(other for other in all_of[name] if name in all_of[other]) for name in imports}
    return [set(circle) for circle in found if circle]


def longest_chain(imports: dict[str, set[str]]) -> int:
    "Modules in the longest chain of imports; each circle counts as one."
    whole = {name: min(circle) for circle in circles(imports) for name in circle}
    merged: dict[str, set[str]] = {}
    for name, others in imports.items():
        one = whole.get(name, name)
        merged.setdefault(one, set()).update({whole.get(o, o) for o in others} - {one})
    depth: dict[str, int] = {}
    for name in TopologicalSorter(merged).static_order():
        depth[name] = 1 + max((depth[o] for o in merged[name]), default=0)
    return max(depth.values())


def annotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    "Whether every parameter has its type."
    a = function.args
    given = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    return all(x.annotation for x in given if x and x.arg not in ("self", "cls"))


def share(part: int, whole: int) -> str: return f"{part/whole:.0%}"


def lines(path: Path) -> list[str]: return path.read_text(encoding="utf-8").splitlines()


def longest(paths: Iterable[Path]) -> int:
    "Lines of the longest file."
    return max(len(lines(p)) for p in paths)


def wide(paths: Iterable[Path]) -> int:
    "Lines over 120 columns."
    return sum(len(line) > 120 for p in paths for line in lines(p))


def figures(
    root: Path,  # a checkout
) -> dict[str, object]:
    "What is counted, in words, and the figure."
    package = root/"camredact"
    modules = [Module(p, package) for p in sorted(package.rglob("*.py")) if p.name != "_modidx.py"]
    real = [m for m in modules if m.path.stem != "__init__"]
    rooms = {m.path.parent.name for m in real if m.path.parent != package}
    functions = [f for m in modules for f in m.functions()]
    public = [f for f in functions if f.name[0] != "_"]
    length = [f.end_lineno - f.lineno + 1 for f in functions]
    imports = graph(modules)
    small = [m for m in modules if {m.path.stem, m.path.parent.name} & ({"core", "live"} if rooms else FLAT)]
    long = f"{longest(m.path for m in real):,}; {longest(package.rglob('*.js')):,}"
    over = f"{wide(m.path for m in modules)}, {wide((root/'tests').rglob('*.py'))}"
    books = [p.stat().st_size for p in (root/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
    return {
        "modules at the top of the package; rooms": f"{sum(m.path.parent == package for m in real)}; {len(rooms)}",
        "modules in all": len(real),
        "net lines": f"{sum(m.net() for m in modules):,}",
        "net lines of `core` and `live`": sum(m.net() for m in small),
        "exported names": sum(len(m.exported()) for m in modules),
        "modules in the longest chain of imports": longest_chain(imports),
        "modules in circles of imports, lazy ones included": sum(map(len, circles(imports))),
        "lines of the largest module; of the largest script of the page": long,
        "lines of a function: median, nine of ten under": f"{median(length):.0f}, {quantiles(length, n=10)[-1]:.0f}",
        "functions with all parameters annotated": share(sum(map(annotated, functions)), len(functions)),
        "public functions with a docstring": share(sum(bool(ast.get_docstring(f)) for f in public), len(public)),
        "lines over 120 columns: modules, tests": over,
        "notebooks; median and largest in KB": f"{len(books)}; {median(books)/1000:.0f}, {max(books)/1000:.0f}"}


if __name__ == "__main__":
    columns = [figures(Path(a)) for a in sys.argv[1:] or ["."]]
    for what in columns[0]: print(f"| {what} | {' | '.join(str(c[what]) for c in columns)} |")
