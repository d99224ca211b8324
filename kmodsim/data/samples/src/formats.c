// SPDX-License-Identifier: GPL-2.0-only
/*
 * What printk makes of its formats: each line shows a format, the text in bars, and what vsnprintf() returned.
 *
 * Documentation/core-api/printk-formats.rst tells what they are for. The parameter odd does one thing that
 * vsnprintf() warns of, or follows a bad pointer and dies: insmod formats.ko odd=1
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fwnode.h>
#include <linux/gfp.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rtc.h>
#include <linux/string.h>
#include <linux/uuid.h>

static char text[512];

static int odd;
module_param(odd, int, 0444);
MODULE_PARM_DESC(odd, "1: %n, 2: a width, 3: a precision, 4: a size too large, 5: %pA, 6, 7, 8: bad pointers");

/* No attribute printf here: the compiler would refuse half of what follows. */
static noinline void show(const char *fmt, ...)
{
	va_list args;
	int length;

	va_start(args, fmt);
	length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_info("formats: %s |%*pE| %d\n", fmt, min_t(int, length, sizeof(text) - 1), text, length);
}

static void integers(void)
{
	show("%d %i %u %o %x %X", -42, 42, -42, 42, 42, 48879);
	show("%hhd %hhu %hhx", 0x1ff, 0x1ff, -2);
	show("%hd %hu %hx", 0x18000, 0x18000, -2);
	show("%ld %lu %lx", -5000000000L, 5000000000L, -1L);
	show("%lld %llu %Ld %Lx", LLONG_MIN, ULLONG_MAX, -1LL, 255LL);
	show("%zd %zu %zx %td", (ssize_t)-1, (size_t)-1, (size_t)64, (ptrdiff_t)-8);
	show("[%5d] [%-5d] [%05d] [%+d] [% d] [%+5d] [%-+5d]", 42, 42, 42, 42, 42, 42, 42);
	show("[%05d] [%+05d] [% 05d] [%-05d]", -42, 42, 42, 42);
	show("[%+u] [% u] [%+x]", 42, 42, 42);
	show("[%#x] [%#X] [%#o] [%#d] [%#x] [%#o]", 255, 255, 8, 8, 0, 0);
	show("[%#10x] [%-#10x] [%#010x] [%#010X] [%#06o]", 255, 255, 255, 255, 8);
	show("[%.5d] [%8.5d] [%-8.5d] [%08.5d] [%+.5d]", 42, 42, 42, 42, 42);
	show("[%.0d] [%.d] [%.0x] [%#.0x]", 0, 0, 0, 0);
	show("[%*d] [%-*d] [%*d] [%0*d]", 6, 42, 6, 42, -6, 42, 6, 42);
	show("[%.*d] [%.*d] [%*.*d]", 4, 42, -4, 42, 8, 4, 42);
	show("[%#*x] [%+.*d]", 8, 255, 4, 7);
	show("[%3d] [%.1d] [%2x]", 123456, 123456, 0x12345);
	show("[%d] [%x] [%o]", INT_MIN, INT_MIN, INT_MIN);
	show("%%d [%5%] %d%%", 50);
	show("%-+ #0d", 7);
}

static void strings(void)
{
	show("[%s] [%8s] [%-8s] [%08s]", "text", "text", "text", "text");
	show("[%.2s] [%8.2s] [%-8.2s] [%.0s] [%.s] [%.9s]", "text", "text", "text", "text", "text", "text");
	show("[%*s] [%*s] [%.*s] [%.*s]", 6, "text", -6, "text", 3, "text", -3, "text");
	show("[%ls] [%hs] [%lc]", "text", "text", 'x');
	show("[%c] [%3c] [%-3c] [%03c] [%.0c]", 'a', 'b', 'c', 'd', 'e');
	show("[%c%c%c]", '\t', 0x1c3, 0);
	show("[%s] [%8s] [%-8s] [%.3s] [%10.3s]", NULL, NULL, NULL, NULL, NULL);
	show("[%s] [%s] [%.2s]", (char *)1, (char *)4095, (char *)8);
	show("[%s] [%s] [%12s]", ERR_PTR(-ENOMEM), ERR_PTR(-4095), ERR_PTR(-1));
	show("[%s]", "");
	show("");
	show("[%pks] [%pus] [%pk] [%pu]", "text", "text", "text", "text");
}

static void pointers(void)
{
	static char again[32];
	void *heap = text;

	show("[%px] [%px] [%px]", (void *)0xffff888012345678, NULL, (void *)1);
	show("[%20px] [%-20px] [%4px] [%020px] [%#px] [%#20px]", (void *)0xabc, (void *)0xabc, (void *)0xabc,
	     (void *)0xabc, (void *)0xabc, (void *)0xabc);
	show("[%.3px] [%20.5px] [%+px]", (void *)0xabc, (void *)0xabc, (void *)0xabc);
	show("[%p] [%p] [%p] [%20p] [%-20p] [%4p]", NULL, ERR_PTR(-ENOMEM), ERR_PTR(-4095), NULL, NULL, NULL);
	show("[%pK] [%pK] [%pX] [%pz9]", NULL, ERR_PTR(-1), NULL, NULL);
	show("[%pe] [%pe] [%pe] [%pe]", ERR_PTR(-ENOMEM), ERR_PTR(-EPROBE_DEFER), ERR_PTR(-4000), NULL);
	show("[%12pe] [%-12pe] [%.3pe] [%8pe] [%pe]", ERR_PTR(-EIO), ERR_PTR(-EIO), ERR_PTR(-EIO), ERR_PTR(-4000),
	     ERR_PTR(-EAGAIN));
	show("hash %p", heap);
	snprintf(text, sizeof(text), "%p", heap);
	snprintf(again, sizeof(again), "%pK", heap);
	pr_info("formats: hashed: %zu characters, %%pK %s\n", strlen(text), strcmp(text,
		again) ? "differs" : "is the same");
}

static void errors(void)
{
	int i;

	for (i = 1; i <= 133; i += 7)
		show("%pe %pe %pe %pe %pe %pe %pe", ERR_PTR(-i), ERR_PTR(-i - 1), ERR_PTR(-i - 2), ERR_PTR(-i - 3),
		     ERR_PTR(-i - 4), ERR_PTR(-i - 5), ERR_PTR(-i - 6));
	for (i = 511; i <= 532; i += 3)
		show("%pe %pe %pe", ERR_PTR(-i), ERR_PTR(-i - 1), ERR_PTR(-i - 2));
}

static void symbols(void)
{
	show("[%pS] [%ps] [%pB]", _printk, _printk, _printk);
	show("[%pS] [%ps] [%pB]", (char *)_printk + 5, (char *)_printk + 5, (char *)_printk + 5);
	show("[%pS] [%ps] [%pB]", show, show, (char *)show + 1);
	show("[%pSR] [%pSb] [%pSRb] [%pBb] [%pSignal] [%psx!]", show, show, show, (char *)show + 1, show, show);
	show("[%pS] [%ps] [%pB]", NULL, (void *)0x1234, (void *)0x1234);
	show("[%pS] [%ps]", text, &odd);
	show("[%40pS] [%-40ps] [%.6ps] [%20.4pS]", show, show, show, show);
	show("[%pF] [%pf]", NULL, NULL);
}

static void bytes(void)
{
	static const u8 data[70] = { 0x00, 0x1b, 0x2c, 0xff, 0x5e, 0x6f, 0x70, 0x81, 0x92, 0xa3, 0xb4, 0xc5,
		0xd6, 0xe7, 0xf8, 9 };
	static const u64 wide = 0x123456789abcdef0;
	static const u32 fourcc[] = { 0x34325241, 0xb4325241, 0x01027f20 };

	show("[%*ph] [%*phC] [%*phD] [%*phN]", 6, data, 6, data, 6, data, 6, data);
	show("[%ph] [%phN] [%*ph] [%*ph] [%3ph] [%03phC]", data, data, 0, data, -3, data, data, data);
	show("[%*phN]", 70, data);
	show("[%*ph] [%ph] [%20ph]", 4, NULL, (void *)16, NULL);
	show("[%pM] [%pMF] [%pMR] [%pm] [%pmR] [%pmF]", data, data, data, data, data, data);
	show("[%20pM] [%-20pM] [%.5pM] [%pM] [%20pM]", data, data, data, NULL, (void *)8);
	show("[%pUb] [%pUB] [%pUl] [%pUL] [%pU]", data, data, data, data, data);
	show("[%40pUb] [%.8pUL] [%pUl]", data, data, NULL);
	show("[%pad] [%pap] [%pa] [%pax] [%pad]", &wide, &wide, &wide, &wide, NULL);
	show("[%pNF] [%pN] [%pNx] [%pNF]", &wide, &wide, &wide, NULL);
	show("[%p4cc] [%p4cc] [%p4cc]", &fourcc[0], &fourcc[1], &fourcc[2]);
	show("[%p4c] [%p4] [%p4cc] [%36p4cc]", &fourcc[0], &fourcc[0], NULL, &fourcc[0]);
}

static void bitmaps(void)
{
	static const unsigned long bits[] = { 0xf0000000000000a5, 0x8000000000000001, 0xffffffffffffffff, 0 };
	static const unsigned long none[2];

	show("[%*pb] [%*pbl]", 8, bits, 8, bits);
	show("[%*pb] [%*pbl]", 64, bits, 64, bits);
	show("[%*pb] [%*pbl]", 70, bits, 70, bits);
	show("[%*pb] [%*pbl]", 33, bits, 33, bits);
	show("[%*pb] [%*pbl]", 192, bits, 192, bits);
	show("[%*pb] [%*pbl]", 250, bits, 250, bits);
	show("[%*pb] [%*pbl] [%*pb] [%*pb]", 100, none, 100, none, 32, none, 1, bits);
	show("[%*pb] [%*pbl] [%pb] [%pbl] [%*pb]", 0, bits, 0, bits, bits, bits, -8, bits);
	show("[%*pb] [%*pbl] [%8pb]", 8, NULL, 8, (void *)8, bits);
}

static const char *const escapes[] = { "%*pE", "%*pEa", "%*pEc", "%*pEh", "%*pEn", "%*pEo", "%*pEp", "%*pEs",
	"%*pEhp",
	"%*pEsc", "%*pEnoc", "%*pEahp", "%*pEsx", "%*pEz" };

static void escaped(void)
{
	static const char data[] = "a b\n\r\t\v\f\\\a\033\"\0\x7f\x80\xe9z";
	int i;

	for (i = 0; i < ARRAY_SIZE(escapes); i++)
		show(escapes[i], (int)sizeof(data), data);
	show("[%pE] [%*pE] [%*pE] [%3pEh] [%pE]", data, 0, data, -2, data, data, NULL);
}

static void network(void)
{
	static const u8 v4[] = { 10, 0, 200, 7 };
	static const u8 v6[][16] = {
		{ 0x20, 1, 0xd, 0xb8, [15] = 1 },
		{ 0x20, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2 },
		{ },
		{ [15] = 1 },
		{ [10] = 0xff, 0xff, 192, 0, 2, 1 },
		{ 0xfe, 0x80, [8] = 2, 0, 0x5e, 0xfe, 192, 0, 2, 33 },
		{ 0xfe, 0x80, [8] = 0, 0, 0x5e, 0xfe, 192, 0, 2, 33 },
		{ 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 6, 0, 7, 0, 0 },
		{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
		{ [0] = 0xff, 2, [14] = 0, 0 },
	};
	static struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(8080),
		.sin_addr = { htonl(0x0a00c807) } };
	static struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(443),
		.sin6_flowinfo = htonl(0xf0012345),
		.sin6_scope_id = 3, .sin6_addr = { { { 0xfe, 0x80, [15] = 9 } } } };
	static struct sockaddr other = { .sa_family = AF_UNIX };
	int i;

	show("[%pI4] [%pi4] [%pI4h] [%pI4n] [%pI4b] [%pI4l] [%pi4h]", v4, v4, v4, v4, v4, v4, v4);
	show("[%16pI4] [%-16pI4] [%.4pI4] [%pI4] [%pI]  [%pi5] [%pI7]", v4, v4, v4, NULL, v4, v4, v4);
	for (i = 0; i < ARRAY_SIZE(v6); i++)
		show("[%pI6] [%pi6] [%pI6c] [%pi6c]", v6[i], v6[i], v6[i], v6[i]);
	show("[%pIS] [%pISp] [%piS] [%piSp] [%pIShp] [%pISpfsc]", &in4, &in4, &in4, &in4, &in4, &in4);
	show("[%pIS] [%pISp] [%piS] [%pISc] [%pISpc] [%pISpfsc] [%pISf] [%pISsc]", &in6, &in6, &in6, &in6,
	     &in6, &in6, &in6, &in6);
	show("[%30pISpc] [%-30pIS] [%pIS] [%pIS] [%7pISp]", &in6, &in4, &other, NULL, &in4);
}

static void resources(void)
{
	static struct resource res[] = {
		{ .start = 0x60, .end = 0x6f, .flags = IORESOURCE_IO },
		{ .start = 0x60, .end = 0x60, .flags = IORESOURCE_IO | IORESOURCE_DISABLED },
		{ .start = 0xfed00000, .end = 0xfed003ff, .flags = IORESOURCE_MEM | IORESOURCE_PREFETCH },
		{ .start = 0x8000000000, .end = 0x80ffffffff,
			.flags = IORESOURCE_MEM | IORESOURCE_MEM_64 | IORESOURCE_WINDOW },
		{ .start = 0, .end = 0xfff, .flags = IORESOURCE_MEM | IORESOURCE_UNSET },
		{ .start = 11, .end = 11, .flags = IORESOURCE_IRQ },
		{ .start = 5, .end = 12, .flags = IORESOURCE_DMA },
		{ .start = 0, .end = 0xff, .flags = IORESOURCE_BUS },
		{ .start = 1, .end = 2, .flags = IORESOURCE_BUSY },
		{ .start = 1, .end = 2, .flags = 0 },
		{ .start = 1, .end = 2, .flags = IORESOURCE_REG },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(res); i++)
		show("%pR %pr", &res[i], &res[i]);
	show("[%40pR] [%-40pr] [%.9pR] [%pR]", &res[0], &res[0], &res[0], NULL);
}

static void files(void)
{
	static struct dentry root = { .d_name = QSTR_INIT("/", 1) }, one = { .d_name = QSTR_INIT("one", 3) },
		two = { .d_name = QSTR_INIT("two", 3) }, three = { .d_name = QSTR_INIT("three", 5) };
	static struct file file;
	static struct gendisk disk = { .disk_name = "sda" }, nvme = { .disk_name = "nvme0n1" };
	static struct block_device whole = { .bd_disk = &disk }, part = { .bd_disk = &disk, .bd_partno = 3 },
		part2 = { .bd_disk = &nvme, .bd_partno = 12 };

	root.d_parent = &root;
	one.d_parent = &root;
	two.d_parent = &one;
	three.d_parent = &two;
	file.f_path.dentry = &two;
	show("[%pd] [%pd2] [%pd3] [%pd4] [%pd5]", &three, &three, &three, &three, &three);
	show("[%pd] [%pd2] [%pd2] [%pd3]", &root, &root, &one, &one);
	show("[%10pd] [%-10pd] [%.3pd] [%.6pd3] [%pd]", &three, &three, &three, &three, NULL);
	show("[%pD] [%pD2] [%pD4] [%12pD] [%pD]", &file, &file, &file, &file, NULL);
	show("[%pg] [%pg] [%pg] [%6pg] [%pg]", &whole, &part, &part2, &part, NULL);
}

static void times(void)
{
	static const struct rtc_time tm = { .tm_year = 126, .tm_mon = 10, .tm_mday = 5, .tm_hour = 7,
		.tm_min = 8, .tm_sec = 9 };
	static const struct rtc_time strange = { .tm_year = -1901, .tm_mon = -1, .tm_mday = 100, .tm_hour = -1,
		.tm_sec = 60 };
	static const time64_t stamps[] = { 0, 1764115200, -1, 951827696, 4107542399, -62167219201,
		253402300800, 1LL << 50 };
	int i;

	show("[%ptR] [%ptRd] [%ptRt] [%ptRr] [%ptRdr] [%ptRtr]", &tm, &tm, &tm, &tm, &tm, &tm);
	show("[%ptRs] [%ptRrs] [%ptRsr] [%ptRds] [%ptRx] [%30ptR]", &tm, &tm, &tm, &tm, &tm, &tm);
	show("[%ptR] [%ptRr]", &strange, &strange);
	for (i = 0; i < ARRAY_SIZE(stamps); i++)
		show("[%ptT] [%ptTs] [%ptTd] [%ptTt] [%ptTrs]", &stamps[i], &stamps[i], &stamps[i], &stamps[i],
		     &stamps[i]);
	show("[%pt] [%ptX] [%ptR] [%ptT]", &tm, &tm, NULL, ERR_PTR(-1));
}

static void flags(void)
{
	static unsigned long one;
	static const gfp_t gfp[] = { GFP_KERNEL, GFP_ATOMIC, GFP_KERNEL | __GFP_ZERO,
		GFP_NOWAIT | __GFP_NOWARN, GFP_TRANSHUGE,
		GFP_TRANSHUGE_LIGHT, GFP_HIGHUSER_MOVABLE, GFP_HIGHUSER, GFP_USER, GFP_KERNEL_ACCOUNT,
			GFP_NOFS, GFP_NOIO,
		__GFP_RECLAIM, 0, (__force gfp_t)~0u };
	int i;

	for (i = 0; i < ARRAY_SIZE(gfp); i++)
		show("%pGg", &gfp[i]);
	for (i = 0; i < 64; i++) {
		one = 1UL << i;
		show("%pGg %pGv %pGp", &one, &one, &one);
	}
	one = VM_READ | VM_WRITE | VM_MAYREAD | VM_DONTEXPAND | VM_IO;
	show("[%pGv] [%40pGv]", &one, &one);
	one = 0x17ffffc0010200;
	show("[%pGp]", &one);
	one = 0;
	show("[%pGp] [%pGv] [%pGg]", &one, &one, &one);
	one = ~0UL;
	show("%pGp", &one);
	show("[%pG] [%pGx] [%pGp] [%pGv]", &one, &one, NULL, (void *)8);
}

/* A firmware node of our own: root, its child, and how they are called. */
static struct fwnode_handle top, leaf;

static const char *node_name(const struct fwnode_handle *node)
{
	return node == &leaf ? "leaf@1" : "top";
}

static const char *node_prefix(const struct fwnode_handle *node)
{
	return node == &leaf ? "/" : "";
}

static struct fwnode_handle *node_parent(const struct fwnode_handle *node)
{
	return node == &leaf ? &top : NULL;
}

static const struct fwnode_operations node_ops = {
	.get_name = node_name,
	.get_name_prefix = node_prefix,
	.get_parent = node_parent,
};

static void nodes(void)
{
	static const struct { const char *name; } core = { "pll" };
	static const struct { const void *core; } clk = { &core };
	static struct fwnode_handle bare;

	top.ops = &node_ops;
	leaf.ops = &node_ops;
	show("[%pfw] [%pfwf] [%pfwP] [%20pfw] [%-20pfwP]", &leaf, &leaf, &leaf, &leaf, &leaf);
	show("[%pfw] [%pfwP] [%pfw] [%pf] [%pfx]", &bare, &bare, NULL, &leaf, &leaf);
	show("[%pOF] [%pOFn] [%pO] [%pOx] [%20pOF] [%pOF]", &leaf, &leaf, &leaf, &leaf, &leaf, NULL);
	show("[%pC] [%pCn] [%8pC] [%pC]", &clk, &clk, &clk, NULL);
}

static noinline void nested(const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	show("<%pV> <%pV> <%10pV> %d", &vaf, &vaf, &vaf, 5);
	pr_info("formats: twice %pV, %pV\n", &vaf, &vaf);
	va_end(args);
}

static void many(void)
{
	nested("%d %s %llx %c", 1, "two", 3ULL, '4');
	nested("%d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	nested("");
	show("[%pV]", NULL);
	show("%d %d %d %d %d %d %d %d %d %d %s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, "eleven");
}

static void lengths(void)
{
	static const int sizes[] = { 0, 1, 2, 5, 12, 13, 100 };
	char buffer[32];
	int i, n, stored;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		strscpy(buffer, "untouched", sizeof(buffer));
		n = snprintf(buffer, min_t(size_t, sizes[i], sizeof(buffer)), "%s %6d", "text:", 42);
		pr_info("formats: snprintf %d gives %d, |%s|\n", sizes[i], n, buffer);
		stored = scnprintf(buffer, min_t(size_t, sizes[i], sizeof(buffer)), "%-8s%pM", "mac:",
			"\1\2\3\4\5\6");
		pr_info("formats: scnprintf %d gives %d, |%s|\n", sizes[i], stored, buffer);
	}
	n = sprintf(buffer, "%5d|%-5d|", 1, 2);
	pr_info("formats: sprintf gives %d, |%s|\n", n, buffer);
	pr_info("formats: long %d %d %d\n", snprintf(NULL, 0, "%1000d", 1), snprintf(NULL, 0, "%.500d", 1),
		snprintf(NULL, 0, "%*s", 70000, "x"));
}

static void warnings(void)
{
	static const char fmt[] = "%*d", n[] = "before %n behind %d";
	const char *volatile unseen = fmt;

	switch (odd) {
	case 1:
		unseen = n;
		show(unseen, 1, 2);
		show("%d %y", 1);
		break;
	case 2:
		pr_info("formats: %d\n", snprintf(NULL, 0, unseen, 1 << 24, 1));
		pr_info("formats: %d\n", snprintf(NULL, 0, unseen, -(1 << 24), 1));
		break;
	case 3:
		show("%.*d", 1 << 15, 1);
		show("%.*d", -(1 << 15) - 1, 1);
		break;
	case 4:
		pr_info("formats: %d\n", snprintf(text, (size_t)INT_MAX + 1 + odd - 4, "%d", 1));
		break;
	case 5:
		show("[%pA]", text);
		break;
	case 6:			/* pointers that look good and are not: nothing is there, */
		show("%s", (char *)0xffffffffc0800000);
		break;
	case 7:			/* nothing can be there, */
		show("%s %pM", "MAC", (void *)0xdead000000000100);
		break;
	case 8:			/* nothing of ours is there */
		show("%*ph", 4, (void *)0x700000000000);
		break;
	}
}

static int __init formats_init(void)
{
	if (odd) {
		warnings();
		return 0;
	}
	integers();
	strings();
	pointers();
	errors();
	symbols();
	bytes();
	bitmaps();
	escaped();
	network();
	resources();
	files();
	times();
	flags();
	nodes();
	many();
	lengths();
	return 0;
}

static void __exit formats_exit(void)
{
	show("%s, %s", "good", "bye");
}

module_init(formats_init);
module_exit(formats_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Every format of printk, with what comes of it");
