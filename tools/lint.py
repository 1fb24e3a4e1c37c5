#!/usr/bin/env python3
"""Checks what the compiler does not: the include table of ARCHITECTURE.md, banned functions, the length budgets, that
each header compiles alone, formatting, and that the lock file names no registry. One line a finding; status 1 if any."""
import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each folder may include besides itself: a folder, or one header.
ANY = None
INCLUDES = {
    "src/base": [],
    "src/core": ["base/"],
    "src/proto": ["base/"],
    "src/store": ["base/", "core/model.h", "core/job.h"],
    "src/work": ["base/", "core/model.h", "proto/"],
    "src/engine": ["base/", "core/", "proto/", "store/", "work/worker.h", "work/fetcher.h", "work/notifier.h",
                   "work/pusher.h", "work/authority.h"],
    "src/net": ["base/", "proto/", "engine/engine.h"],
    "src/config": ANY,
    "src": ANY,
    "client": ["base/", "proto/", "holdfast/client.h"],
    "include/holdfast": [],
}
OURS = re.compile(r"(base|core|proto|store|work|engine|net|config|client|holdfast)/")
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|strtok_r|atoi|atol|atoll|gets|alloca)\s*\(")
FUNCTION_LINES = 70
FILE_LINES = 500
TEST_LINES = 700  # a suite reads case by case
PACKAGES = ["libuv", "libssl", "libqrencode", "libwebsockets", "sqlite3", "jansson", "libcrypto", "libisal", "cmocka", "libcurl", "libseccomp",
            "libavformat", "libavcodec", "libavutil", "libswscale", "libswresample"]


def tracked(*patterns):
    """Files known to git or new and not ignored."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout.split("\n")
    return [path for path in out if path and (ROOT / path).is_file()]


def without_comments(text):
    """Comments and the inside of strings become blanks; lines stay where they are."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_includes(path, text):
    folder = str(pathlib.PurePath(path).parent)
    if folder not in INCLUDES or INCLUDES[folder] is ANY:
        return
    own = folder.removeprefix("src/") + "/"
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
        if not match or not OURS.match(match.group(1)):
            continue
        if not match.group(1).startswith((own, *INCLUDES[folder])):
            yield f"{path}:{number}: {folder} may not include {match.group(1)}"


def check_banned(path, code):
    for number, line in enumerate(code.split("\n"), 1):
        for match in BANNED.finditer(line):
            yield f"{path}:{number}: {match.group(1)} is banned"


def check_lengths(path, code):
    budget = TEST_LINES if path.startswith("tests/") else FILE_LINES
    lines = code.rstrip("\n").split("\n")
    if len(lines) > budget:
        yield f"{path}:{budget + 1}: {len(lines)} lines; a file has at most {budget}"
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {number - start - 1} lines; {FUNCTION_LINES} are allowed"
            start = None


def check_header(path, flags):
    done = subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Werror",
                           "-fsyntax-only", "-Isrc", "-Iinclude", "-Iclient", "-Itests", "-I.", *flags, "-x", "c", "-include",
                           path, "/dev/null"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"{path}: does not compile alone\n{done.stderr}"


def check_format(path):
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", path], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        first = done.stderr.split("\n")[0]
        yield f"{first or path}: run ./dev format"


def check_all():
    flags = []
    for package in PACKAGES:
        flags += subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True,
                                check=True).stdout.split()
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path in tracked("*.c", "*.h"):
            text = (ROOT / path).read_text()
            code = without_comments(text)
            if not text.startswith("/*"):
                yield f"{path}:1: a file opens with a comment that says what it is"
            yield from check_includes(path, text)
            yield from check_banned(path, code)
            yield from check_lengths(path, code)
            jobs.append(pool.submit(lambda p=path: list(check_format(p))))
            if path.endswith(".h"):
                jobs.append(pool.submit(lambda p=path: list(check_header(p, flags))))
        for job in jobs:
            yield from job.result()
    for path in tracked("*.js", "*.mjs", "*.py", "*.css", "dev"):
        count = (ROOT / path).read_text().count("\n")
        if count > FILE_LINES:
            yield f"{path}: {count} lines; a file has at most {FILE_LINES}"
    if '"resolved"' in (ROOT / "package-lock.json").read_text():
        yield "package-lock.json: names where a package came from; install with the .npmrc of this folder"


def main():
    findings = list(check_all())
    for finding in findings:
        print(finding)
    print(f"lint: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
