"""The walls: which module may include which. The table is the one of ARCHITECTURE.md."""
import pathlib
import re

# data/* in the order in which each may include those before it; dsl and ledger stand side by side.
DATA = ["columnar", "expr", "contract", "plan", ("dsl", "ledger"), "engine", "connectors"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def data_before(module):
    """Modules of data/ that stand before `module`."""
    before = []
    for entry in DATA:
        names = entry if isinstance(entry, tuple) else (entry,)
        if module in names:
            return before
        before += [f"data/{name}" for name in names]
    return None


def allowed_for(module):
    """Modules that files of `module` may include besides their own; None for an unknown module."""
    top, _, name = module.partition("/")
    if top == "base":
        return []
    if top == "platform":
        return ["base", "platform"]
    if top == "model":
        return ["base"]
    if top == "data":
        before = data_before(name)
        if before is None:
            return None
        own = ["base", "model", "platform/os", "platform/telemetry", "platform/crypto", "runink/step"]
        return own + before + (["platform/http"] if name == "connectors" else [])
    if module == "worker/slice":
        return ["base", "platform", "model", "data", "worker/wire", "runink/step"]
    if module == "worker/network":
        return ["base", "platform/os", "model"]
    if module == "worker/wire":
        return ["base", "platform/os", "model"]
    if module == "worker/sandbox":
        return ["base", "platform/os", "model", "worker/network", "worker/wire"]
    if module == "worker/launcher":
        return ["base", "platform/os", "model", "worker/network", "worker/wire", "worker/sandbox"]
    if module == "worker/agent":
        return ["base", "platform", "model", "worker/sandbox", "worker/launcher", "worker/wire"]
    if module == "worker/doctor":
        return ["base", "platform/os", "model", "worker/sandbox", "worker/network"]
    if module == "client/cli":
        return ["base", "platform", "model", "data/contract", "data/plan", "data/dsl", "client/local"]
    if module == "client/local":
        return ["base", "platform", "model", "data", "runink/step"]
    if module == "client/sdk":
        return ["base", "platform"]
    if module == "control/raft/core":
        return ["base"]
    if module == "control/raft/transport":
        return ["base", "platform", "control/raft/core"]
    if module == "control/journal":
        return ["base", "platform/os", "platform/crypto", "control/raft/core"]
    if module == "control/barn/rocks":
        return ["base", "platform/os", "platform/crypto", "control/barn"]
    if module == "control/barn":
        return ["base", "platform/os", "platform/crypto", "control/raft/core"]
    if module == "control/raft/driver":
        return ["base", "platform/crypto", "platform/telemetry", "control/raft/core", "control/raft/transport", "control/journal"]
    if module == "control/replica":
        return ["base", "platform", "control/raft/core", "control/raft/transport", "control/raft/driver", "control/barn"]
    if module == "control/cluster":
        return ["base", "platform", "control/barn", "control/replica", "control/raft/core", "control/raft/driver", "control/raft/transport"]
    if module == "control/api":
        return ["base", "platform", "control/barn", "control/cluster", "control/replica", "control/raft/core", "control/raft/driver", "control/raft/transport"]
    if module == "control/node":
        return ["base", "platform", "control"]
    if module == "control/server":
        return ["base", "platform", "control"]
    if top == "testing":
        return ["base", "platform", "model", "data", "control"]
    return None


def module_of(path):
    """'data/expr' for 'data/expr/lexer.h'; 'base' for 'base/status.h'."""
    parts = pathlib.PurePosixPath(path).parts
    if len(parts) > 2 and parts[0] in ("platform", "data", "worker", "client"):
        return "/".join(parts[:2])
    if parts[0] == "control":
        return "/".join(parts[:-1])
    if parts[0] == "runink":
        return "/".join(parts[:2])
    return parts[0]


def is_test(path):
    return re.search(r"_(test|fuzz|bench)\.(cc|h)$", path) is not None


def check(root, files):
    """Faults of the files below src/, one line each."""
    faults = []
    for path in files:
        if not path.startswith("src/") or not path.endswith((".cc", ".h", ".inc")) or is_test(path):
            continue
        module = module_of(path[len("src/") :])
        allowed = allowed_for(module)
        if allowed is None:
            faults.append(f"{path}: src/{module} is not in the table of walls (dev.d/lint/walls.py, ARCHITECTURE.md)")
            continue
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            target = match.group(1)
            if "/" not in target or not ((root / "src" / target).exists() or (root / "include" / target).exists()):
                continue
            other = module_of(target)
            if other != module and not any(other == a or other.startswith(a + "/") for a in allowed):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: src/{module} may not include {target} (see the walls in ARCHITECTURE.md)")
    return faults
