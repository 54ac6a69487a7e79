"""The house inspects itself: drift, not style. One line per fault, exit 1 when there is any.

  walls      an #include that crosses the table of ARCHITECTURE.md
  orphans    a source that no CMakeLists.txt names, a header that nobody includes
  headers    a header without #pragma once
  markers    notes to self that were left in
  links      a relative link in a Markdown file that leads nowhere
  machine    an absolute path of somebody's machine
  scripts    a shell script that does not parse
  names      a source file whose name is not snake_case
"""
import pathlib
import re
import subprocess
import sys

import walls

SOURCE = (".cc", ".h", ".inc")
TEXT = SOURCE + (".md", ".py", ".sh", ".mjs", ".txt", ".cmake", ".json", ".toml", ".dsl", ".contract", ".yml", ".yaml")
# Written so that this file does not find itself.
MARKERS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "HA" + "CK", "X" + "XX"]) + r")\b")


def files_of(root):
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True,
    )
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*")]
    return sorted({n for n in names if (root / n).is_file() and "/node_modules/" not in n and not n.startswith("build/")})


def read(root, path):
    return (root / path).read_text(encoding="utf-8", errors="replace")


def check_orphans(root, files):
    lists = {f: read(root, f) for f in files if f.endswith("CMakeLists.txt") or f.endswith(".cmake")}
    included = set()
    for f in files:
        if f.endswith(SOURCE):
            included |= {pathlib.PurePosixPath(t).name for t in re.findall(r'#\s*include\s+["<]([^">]+)[">]', read(root, f))}
    faults = []
    for f in files:
        path = pathlib.PurePosixPath(f)
        # testdata is input of tests; examples and *.cpp are users' own, built by `runi compile`.
        if "testdata" in path.parts or path.parts[0] in ("examples",):
            continue
        if f.endswith("_fuzz.cc") and path.parts[0] == "src":
            continue  # found by fuzz/CMakeLists.txt
        if f.endswith(".cc"):
            if not any(names_source(text, lst, path) for lst, text in lists.items()):
                faults.append(f"{f}: no CMakeLists.txt names it")
        elif f.endswith((".h", ".inc")) and path.parts[0] in ("src", "apps") and path.name not in included:
            faults.append(f"{f}: nobody includes it")
    return faults


def names_source(text, list_path, path):
    if f"${{CMAKE_SOURCE_DIR}}/{path}" in text:
        return True
    folder = pathlib.PurePosixPath(list_path).parent
    if folder != pathlib.PurePosixPath(".") and folder not in path.parents:
        return False
    relative = str(path.relative_to(folder))
    return re.search(r"(?<![\w./-])" + re.escape(relative) + r"(?![\w./-])", text) is not None


def check_headers(root, files):
    faults = []
    for f in files:
        if not f.endswith(".h"):
            continue
        text = read(root, f)
        # A C header has a guard of the usual form instead; one that must not have any says so.
        guarded = "#pragma once" in text or re.search(r"^#ifndef (\w+)\n#define \1$", text, re.MULTILINE)
        if not guarded and "no include guard, on purpose" not in text.lower():
            faults.append(f"{f}: no #pragma once")
    return faults


def check_markers(root, files):
    faults = []
    for f in files:
        if not f.endswith(TEXT) or "testdata" in f or f.endswith("package-lock.json"):
            continue
        for number, line in enumerate(read(root, f).splitlines(), 1):
            found = MARKERS.search(line)
            if found:
                faults.append(f"{f}:{number}: left-over marker {found.group(1)}")
    return faults


def anchors_of(text):
    """The anchors that GitHub makes of headings."""
    anchors = set()
    for heading in re.findall(r"^#+\s+(.*)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        anchors.add(anchor)
    return anchors


def check_links(root, files):
    faults = []
    for f in files:
        if not f.endswith(".md") or "testdata" in f:
            continue
        text = read(root, f)
        without_code = re.sub(r"```.*?```", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.DOTALL)
        without_code = re.sub(r"`[^`\n]*`", "", without_code)
        for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", without_code):
            target = match.group(1)
            if re.match(r"^[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            place = (root / f).parent / name if name else root / f
            line = without_code.count("\n", 0, match.start()) + 1
            if not place.exists():
                faults.append(f"{f}:{line}: broken link {target}")
            elif anchor and place.suffix == ".md" and anchor not in anchors_of(place.read_text(encoding="utf-8")):
                faults.append(f"{f}:{line}: no heading for {target}")
    return faults


def check_machine_paths(root, files):
    patterns = [re.escape(str(pathlib.Path.home())) + "/", re.escape(str(root)) + r"\b"]
    parent = str(root.parent)
    if parent not in ("/", "/tmp", "/home", "/root", "/usr", "/opt", "/srv", "/mnt", "/var/tmp", "/src"):
        patterns.append(re.escape(parent) + r"/")
    machine = re.compile(r"(?<![\w.])(" + "|".join(patterns) + ")")
    faults = []
    for f in files:
        if not f.endswith(TEXT) or f.startswith("dev.d/lint/") or f.endswith("package-lock.json"):
            continue
        for number, line in enumerate(read(root, f).splitlines(), 1):
            found = machine.search(line)
            if found:
                faults.append(f"{f}:{number}: path of a machine: {found.group(1)}")
    return faults


def check_scripts(root, files):
    faults = []
    for f in files:
        if f.endswith(".sh") or f in ("dev", ".ci/run"):
            said = subprocess.run(["bash", "-n", str(root / f)], capture_output=True, text=True)
            if said.returncode:
                faults.append(f"{f}: {said.stderr.strip()}")
    return faults


def check_names(root, files):
    return [
        f"{f}: file names are snake_case"
        for f in files
        if f.startswith("src/") and f.endswith((".cc", ".h")) and not re.fullmatch(r"[a-z0-9_]+\.(cc|h)", pathlib.PurePosixPath(f).name)
    ]


def main(argument):
    root = pathlib.Path(argument).resolve()
    files = files_of(root)
    faults = walls.check(root, files)
    for check in (check_orphans, check_headers, check_markers, check_links, check_machine_paths, check_scripts, check_names):
        faults += check(root, files)
    for fault in faults:
        print(fault)
    print(f"{len(files)} files looked at, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
