# SPDX-License-Identifier: GPL-2.0-only
"""Exported functions written in assembly: BTF says ``void f(void)`` of them, which is not so.

DECLARATIONS is what C code is told of them. Those with CONVENTIONS_OF_THEIR_OWN take their values in
registers that no C prototype can tell, so they have none. Names that a release does not export do no harm.
"""

from __future__ import annotations

# arch/x86/include/asm/: string_64.h, page_64.h, uaccess_64.h, special_insns.h; include/linux/bitops.h
DECLARATIONS = """
void *memcpy(void *to, const void *from, size_t len)
void *__memcpy(void *to, const void *from, size_t len)
void *memmove(void *dest, const void *src, size_t count)
void *__memmove(void *dest, const void *src, size_t count)
void *memset(void *s, int c, size_t n)
void *__memset(void *s, int c, size_t n)
void clear_page_orig(void *page)
void clear_page_rep(void *page)
void clear_page_erms(void *page)
void copy_page(void *to, void *from)
unsigned long copy_user_generic_unrolled(void *to, const void *from, unsigned int len)
unsigned long copy_user_generic_string(void *to, const void *from, unsigned int len)
unsigned long copy_user_enhanced_fast_string(void *to, const void *from, unsigned int len)
long __copy_user_nocache(void *dst, const void *src, unsigned int size, int zerorest)
unsigned int __sw_hweight32(unsigned int w)
unsigned long __sw_hweight64(__u64 w)
void asm_load_gs_index(unsigned int selector)
""".strip().splitlines()

# arch/x86/lib/: getuser.S, putuser.S, clear_page_64.S, copy_user_64.S; arch/x86/kernel/ftrace_64.S
CONVENTIONS_OF_THEIR_OWN = frozenset(
    [f"__{what}_user_{how}{n}" for what in ("get", "put") for how in ("", "nocheck_") for n in (1, 2, 4, 8)]
    + ["__fentry__", "clear_user_original", "clear_user_rep_good", "clear_user_erms"]
    + ["rep_stos_alternative", "rep_movs_alternative"]
)
