# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzer for the loader: real modules with broken fields, and what must hold whatever comes of them.

    python -m tests.fuzz.run --runs 2000 --seed 1

layout.py   where a module file keeps which record
mutate.py   what is done to it
case.py     one input: bytes, arguments, flags, a kernel; made from (seed, number), kept as a small text file
check.py    a case runs, and the invariants are checked
run.py      the loop, the clock, the report
finds/      inputs that once found something; test_fuzzer.py runs them
"""
