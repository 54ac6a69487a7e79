"""Adds up the JUnit files that ctest wrote: what failed, what was skipped and why, and one last line for the eye and for
scripts: `N passed, N failed, N skipped`. Exit 1 when anything failed or no test ran."""
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ET


def reason_of(case):
    """What the test itself said when it skipped: GoogleTest prints it, scripts print `skip: …`."""
    output = case.findtext("system-out") or ""
    for pattern in (r"^skip: (.+)$", r"Skipped\n(.+)", r"\[  SKIPPED \].*\n?(.*)"):
        found = re.search(pattern, output, re.MULTILINE)
        if found and found.group(1).strip():
            return found.group(1).strip()
    skipped = case.find("skipped")
    return (skipped.get("message") if skipped is not None else "") or "no reason given"


def end_of(output, most_lines=40):
    """The last lines: where a test says what it found."""
    lines = output.strip().splitlines()
    cut = [f"... {len(lines) - most_lines} lines before"] if len(lines) > most_lines else []
    return "\n".join(cut + lines[-most_lines:])


def main(folder):
    passed, failed, skipped = 0, {}, collections.Counter()
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        for case in ET.parse(path).getroot().iter("testcase"):
            name = f"{path.stem}: {case.get('name')}"
            status = case.get("status")
            if status == "run" and case.find("failure") is None:
                passed += 1
            elif status in ("notrun", "disabled") and "Unable to find executable" not in (
                (case.find("skipped").get("message") if case.find("skipped") is not None else "") or ""
            ):
                skipped[reason_of(case)] += 1
            else:
                failed[name] = case.findtext("system-out") or "no output: its program is missing or was not started"
    print()
    for reason, count in sorted(skipped.items()):
        print(f"skipped {count:4}: {reason}")
    for name, output in failed.items():
        print(f"FAILED       {name}\n{end_of(output)}\n")
    if failed:
        print(f"The whole output of each is in {folder}/*.log")
    for name in failed:
        print(f"FAILED       {name}")
    print(f"{passed} passed, {len(failed)} failed, {sum(skipped.values())} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
