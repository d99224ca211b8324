/* SPDX-License-Identifier: GPL-2.0-only */
/* What the samples know of each other. A checksum of each exported prototype travels in the .ko (MODVERSIONS). */
#ifndef SHARED_H
#define SHARED_H

extern int chain_a_calls;
int chain_a_add(int x);
int chain_b_add(int x);

extern int diamond_unit;
int diamond_number(void);
int diamond_left_number(void);
int diamond_right_number(void);

extern const int no_init_number;

int gpl_only_answer(void);
int gpl_plain_answer(void);
int proprietary_answer(void);
int namespace_number(void);

#endif
