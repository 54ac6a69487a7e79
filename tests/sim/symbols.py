"""What a program or library takes from outside, and what must not be in it.

  symbols.py pure NM LIBRARY      the Raft core needs nothing but memory, text, containers and src/base
  symbols.py checked NM LIBRARY... its checks are in it, whatever it was built for (rule C21)
  symbols.py no_zoo NM FILE...    no bug of the zoo is in there
"""
import re
import subprocess
import sys

# Everything that the core may import. A list of what is allowed, since one of what is forbidden would miss the next clock.
ALLOWED = [
    (r"runink::(raft::|Status|Result|check_failed|not_found|from_errno|code_name)", "its own, and src/base's status and checks"),
    (r"operator (new|delete)", "memory"),
    (r"std::(__cxx11::)?basic_string|std::__throw_|std::terminate|std::__detail::|std::_Rb_tree|std::logic_error|std::out_of_range|"
     r"std::length_error|std::bad_|std::runtime_error|std::exception", "text, trees, and the library's own errors"),
    (r"(vtable|typeinfo|guard variable|VTT)( name)? for", "types"),
    (r"fmt::", "text of errors"),
    (r"^(memcpy|memmove|memset|memcmp|memchr|strlen|strcmp|abort|__stack_chk_fail|__assert_fail|__memcpy_chk|__memmove_chk)$", "memory and ends"),
    (r"^(__cxa_|__gxx_personality|_Unwind_|__dso_handle|_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__once_proxy)", "exceptions and linking"),
    (r"^__(asan|ubsan|tsan|sanitizer|gcov|llvm_prof)", "instruments of test builds"),
    (r"^__libc_single_threaded$", "shared pointers look whether there are threads; the core makes none"),
]


def undefined(nm, path):
    """Symbols that are used and not defined, over all members of an archive, with readable names."""
    used, defined = set(), set()
    listed = subprocess.run([nm, "-C", path], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        match = re.match(r"^[0-9a-f]*\s+([A-Za-z])\s+(.*)$", line)
        if match:
            (used if match.group(1) == "U" else defined).add(match.group(2))
    return sorted(used - defined)


def main(arguments):
    mode, nm, paths = arguments[0], arguments[1], arguments[2:]
    faults = []
    for path in paths:
        if mode == "pure":
            symbols = undefined(nm, path)
            faults += [f"{path}: the core imports {s}" for s in symbols if not any(re.search(a, s) for a, _ in ALLOWED)]
            if len(symbols) < 5:
                faults.append(f"{path}: only {len(symbols)} imports were found, so nothing was looked at")
        elif mode == "checked":
            if not any("runink::check_failed" in s for s in undefined(nm, path)):
                faults.append(f"{path}: checks nothing: RUNINK_CHECK is compiled out")
        else:
            listed = subprocess.run([nm, "-C", path], capture_output=True, text=True, check=True).stdout
            if not re.search(r"\brunink::", listed):
                faults.append(f"{path}: has no symbols, so nothing was looked at")
            faults += [f"{path}: {line.strip()}" for line in listed.splitlines() if "zoo_variant" in line]
    print("\n".join(faults) or f"{mode}: nothing wrong in {len(paths)} files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
