"""Types a page of the guide into a new project, word for word: guide_test.py RUNI PAGE.

  ```console   lines that begin with "$ " are typed into bash; each line below them must be in what came out, in order.
               "…" allows anything between and after; without it nothing else may come out. Durations, rates and sizes of
               output may differ.
  ```gherkin   stands above the step that sets per_item in features/orders.dsl
"""
import os, re, subprocess, sys, tempfile

runi, page = os.path.abspath(sys.argv[1]), sys.argv[2]
if not os.access(runi, os.X_OK):
    print("skip: runi is not built here")
    sys.exit(77)


def steady(line):
    line = re.sub(r"\b\d+(\.\d+)? (us|ms|s)\b", "TIME", line.rstrip())
    return re.sub(r"\d+(\.\d+)? [kMG]?B/s", "RATE", line)


def blocks(text):
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2), text.count("\n", 0, match.start()) + 1


def expect(command, wanted, said, where):
    anything = "…" in wanted
    wanted = [steady(line) for line in wanted if line != "…"]
    rest = iter(said)
    for line in wanted:
        if line not in rest:
            sys.exit(f"FAILED: {where}: after `{command}` this line is missing, or not in its place:\n  {line}\nwhat came out:\n  " + "\n  ".join(said))
    if not anything and len(said) != len(wanted):
        sys.exit(f"FAILED: {where}: `{command}` says more than the page:\n  " + "\n  ".join(said))


with tempfile.TemporaryDirectory() as place:
    env = {**os.environ, "PATH": os.path.dirname(runi) + ":" + os.environ["PATH"], "LC_ALL": "C"}
    subprocess.run([runi, "-q", "init", "shop"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    shop = os.path.join(place, "shop")
    typed = 0
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for kind, body, line in blocks(text):
        where = f"{page}:{line}"
        if kind == "gherkin":
            feature = os.path.join(shop, "features/orders.dsl")
            with open(feature, encoding="utf-8") as f:
                lines = f.read().split("\n")
            at = next(i for i, l in enumerate(lines) if '"per_item" is set' in l)
            with open(feature, "w", encoding="utf-8") as f:
                f.write("\n".join(lines[:at] + body.rstrip("\n").split("\n") + lines[at:]))
        if kind != "console":
            continue
        parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
        for part in parts:
            command, *wanted = part.rstrip("\n").split("\n")
            done = subprocess.run(["bash", "-c", "set -o pipefail\n" + command], cwd=shop, env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said = [steady(l) for l in done.stdout.decode(errors="replace").split("\n") if l.strip()]
            if done.returncode != 0 and not command.startswith("ls "):
                sys.exit(f"FAILED: {where}: `{command}` ended with {done.returncode}:\n  " + "\n  ".join(said))
            expect(command, wanted, said, where)
            typed += 1
    if typed < 10:
        sys.exit(f"FAILED: {page} has only {typed} commands")
    print(f"{page} works as written: {typed} commands")
