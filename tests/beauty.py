"""The shape of the code beside the last committed figures (STYLE.md: smallness is kept by looking at the number).

    python tests/beauty.py [--write]

`--write` puts the figures into tests/beauty.json, to be committed.
"""

import argparse
import ast
import json
import os
import resource
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "beauty.json"
CONTRACTED = ("model", "store", "actions")
"""The rooms whose public functions state their contract."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

WANTED = {
    "function length, median": "5–8",
    "function length, 90th percentile": "≤ 25",
    "functions over 50 lines, %": "≤ 1",
    "tests to code": "0.8–1.6",
}
RUNS = 7


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the last one, the docstring left out."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def public(tree: ast.Module) -> Iterator[Function]:
    """The functions of a module and the methods of its public classes that others may call."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    for holder in (tree, *classes):
        for node in holder.body:
            if isinstance(node, Function) and node.name[0] != "_":
                yield node


def code_lines(file: Path) -> int:
    """Lines that hold code: no blank ones, no comments; docstrings count, as every text does."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
               tokenize.ENCODING, tokenize.ENDMARKER}  # fmt: skip
    with tokenize.open(file) as stream:
        tokens = [token for token in tokenize.generate_tokens(stream.readline) if token.type not in skipped]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)})


def start_up() -> float:
    """CPU ms of `agentos --version`: the least of some runs."""
    command = [str(Path(sys.executable).with_name("agentos")), "--version"]
    samples = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True, env=os.environ | {"NO_COLOR": "1"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        samples.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * min(samples)


def figures() -> dict[str, float | str]:
    files = sorted((ROOT / "agentos").rglob("*.py"))
    trees = {file: ast.parse(file.read_text()) for file in files}
    lengths = sorted(length(function) for tree in trees.values() for function in functions(tree))
    sizes = sorted((len(file.read_text().splitlines()), str(file.relative_to(ROOT))) for file in files)
    rooms = [tree for file, tree in trees.items() if file.relative_to(ROOT).parts[1] in CONTRACTED]
    contracts = [function for tree in rooms for function in public(tree)]
    stated = sum(ast.get_docstring(function) is not None for function in contracts)
    code = sum(map(code_lines, files))
    tests = sum(map(code_lines, (ROOT / "tests").rglob("*.py")))
    return {
        "functions": len(lengths),
        "function length, median": statistics.median(lengths),
        "function length, 90th percentile": lengths[len(lengths) * 9 // 10],
        "functions over 50 lines, %": round(100 * sum(n > 50 for n in lengths) / len(lengths), 1),
        "files": len(files),
        "file length, median": statistics.median(size for size, _ in sizes),
        "file length, largest": sizes[-1][0],
        "largest file": sizes[-1][1],
        "lines of code": code,
        "lines of tests": tests,
        "tests to code": round(tests / code, 2),
        "public functions with a contract, %": round(100 * stated / max(1, len(contracts)), 1),
        "agentos --version, CPU ms": round(start_up()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the figures in tests/beauty.json")
    options = parser.parse_args()
    now = figures()
    last = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    print(f"{'':38}{'now':>26}{'committed':>26}  wanted")
    for name, value in now.items():
        print(f"{name:<38}{value!s:>26}{last.get(name, '')!s:>26}  {WANTED.get(name, '')}".rstrip())
    if options.write:
        KEPT.write_text(json.dumps(now, indent=2) + "\n")


if __name__ == "__main__":
    main()
