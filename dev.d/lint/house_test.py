"""Every check of house.py finds what it is there to find, and leaves a clean tree alone."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def inspect(tree):
    """Lines that house.py prints for a tree given as {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in tree.items():
            place = pathlib.Path(folder, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        said = subprocess.run([sys.executable, str(HERE / "house.py"), folder], capture_output=True, text=True)
        return said.returncode, said.stdout


CLEAN = {
    "src/base/CMakeLists.txt": "runink_module(base SOURCES status.cc)",
    "src/base/status.cc": '#include "base/status.h"\n',
    "src/base/status.h": "#pragma once\n",
    "src/data/expr/CMakeLists.txt": "runink_module(expr SOURCES expr.cc)",
    "src/data/expr/expr.cc": '#include "base/status.h"\n',
    "README.md": "# Runink\n\n[the source](src/base/status.h), [itself](#runink)\n",
}


class House(unittest.TestCase):
    def expect(self, changes, words):
        code, said = inspect({**CLEAN, **changes})
        self.assertEqual(code, 1, said)
        self.assertIn(words, said)

    def test_clean_tree(self):
        code, said = inspect(CLEAN)
        self.assertEqual((code, said.splitlines()[-1]), (0, f"{len(CLEAN)} files looked at, 0 faults"), said)

    def test_walls(self):
        self.expect(
            {"src/base/status.cc": '#include "base/status.h"\n#include "data/expr/expr.h"\n', "src/data/expr/expr.h": "#pragma once\n"},
            "src/base/status.cc:2: src/base may not include data/expr/expr.h",
        )

    def test_walls_between_data_modules(self):
        self.expect(
            {"src/data/expr/expr.cc": '#include "data/plan/plan.h"\n', "src/data/plan/plan.h": "#pragma once\n"},
            "src/data/expr may not include data/plan/plan.h",
        )

    def test_unknown_module(self):
        self.expect({"src/misc/x.h": "#pragma once\n"}, "src/misc is not in the table of walls")

    def test_orphan_source(self):
        self.expect({"src/base/lost.cc": ""}, "src/base/lost.cc: no CMakeLists.txt names it")

    def test_orphan_header(self):
        self.expect({"src/base/lost.h": "#pragma once\n"}, "src/base/lost.h: nobody includes it")

    def test_header_without_guard(self):
        self.expect({"src/base/status.h": "// nothing\n"}, "src/base/status.h: no #pragma once")

    def test_marker(self):
        self.expect({"src/base/status.cc": '#include "base/status.h"\n// TO' + "DO: more\n"}, "status.cc:2: left-over marker")

    def test_broken_link(self):
        self.expect({"README.md": "# Runink\n[gone](docs/gone.md)\n"}, "README.md:2: broken link docs/gone.md")

    def test_broken_anchor(self):
        self.expect({"README.md": "# Runink\n[gone](#not-here)\n"}, "README.md:2: no heading for #not-here")

    def test_machine_path(self):
        self.expect({"README.md": f"# Runink\nsee {pathlib.Path.home()}/x\n"}, "README.md:2: path of a machine")

    def test_script(self):
        self.expect({"dev.d/x.sh": "if true; then\n"}, "dev.d/x.sh:")

    def test_name(self):
        self.expect(
            {"src/base/CamelCase.cc": "", "src/base/CMakeLists.txt": "SOURCES status.cc CamelCase.cc"},
            "CamelCase.cc: file names are snake_case",
        )


if __name__ == "__main__":
    unittest.main()
