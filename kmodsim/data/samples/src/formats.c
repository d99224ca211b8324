// SPDX-License-Identifier: GPL-2.0-only
/*
 * printk's formats. Documentation/core-api/printk-formats.rst tells what they are for.
 *
 * After %p follow letters and digits that say what the pointer is; all of them belong to the conversion, so a text
 * cannot begin right behind it. %p alone shows a hash, which differs from boot to boot.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/netdev_features.h>
#include <linux/rtc.h>
#include <linux/slab.h>
#include <linux/uuid.h>

static const u8 bytes[8] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0xaa, 0xff };
static const u8 uuid[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf };
static const char odd[] = "tab\there, \"quoted\", \\, bell\a, nul\0, \xe9\x81.";

static void numbers(void)
{
	int minus = -42;

	pr_info("formats: |%d|%5d|%-5d|%05d|%+d|% d|%.4d|%8.4d|%-8.4d|\n", 42, 42, 42, 42, 42, 42, 42, 42, 42);
	pr_info("formats: |%d|%5d|%-6d|%06d|%+d|% d|%.4d|%8.4d|%i|\n", minus, minus, minus, minus, minus, minus, minus,
		minus, minus);
	pr_info("formats: |%u|%x|%X|%#x|%#X|%o|%#o|\n", 3000000000u, 0xbeef, 0xbeef, 0xbeef, 0xbeef, 8, 8);
	pr_info("formats: |%#x|%#o|%#5x|%#010x|%-#10x|%010x|\n", 0, 0, 1, 0xcafe, 0xcafe, 0xcafe);
	pr_info("formats: |%hhd|%hhu|%hd|%hu|%ld|%lu|%lld|%llu|\n", (signed char)200, (unsigned char)200, (short)40000,
		(unsigned short)40000, -1L, ~0UL, -1LL, ~0ULL);
	pr_info("formats: |%zu|%zd|%zx|%td|%Lu|\n", sizeof(bytes), (ssize_t)-5, sizeof(long),
		&bytes[7] - &bytes[2], 7ULL);
	pr_info("formats: |%*d|%*d|%-*d|%.*d|%0*d|%*.*d|\n", 6, 7, -6, 7, 6, 7, 3, 7, 4, 7, 6, 3, 7);
	pr_info("formats: |%.d|%.0d|%5.d|%.*d|\n", 0, 0, 9, -2, 9);
	pr_info("formats: %d %% %c|%3c|%-3c|\n", 100, 'x', 'y', 'z');
}

static void strings(void)
{
	char *no_string = NULL, *no_page = (char *)100, *error = ERR_PTR(-EIO);

	pr_info("formats: |%s|%8s|%-8s|%.2s|%8.2s|%-8.2s|%.*s|%.s|\n", "text", "text", "text", "text", "text", "text",
		3, "text", "text");
	pr_info("formats: |%s|%10s|%.3s|%s|%s|\n", no_string, no_string, no_string, no_page, error);
	pr_info("formats: |%*pE|%*pEh|%*pEhp|%*pEs|%*pEc|%*pEn|%*pEo|%pE|\n", (int)sizeof(odd), odd, 4, odd, 6, odd, 6,
		odd, 16, odd, (int)sizeof(odd), odd, 3, odd, odd);
}

static void pointers(void)
{
	void *nothing = NULL, *error = ERR_PTR(-ENOENT), *kernel_only = ERR_PTR(-EPROBE_DEFER);
	void *unknown = ERR_PTR(-1234);

	pr_info("formats: |%p|%px|%5px|%20px|%pK|\n", nothing, nothing, nothing, nothing, nothing);
	pr_info("formats: |%p|%px|%pe|%pe|%pe|%12pe|%-12pe|\n", error, error, error, kernel_only, unknown, error,
		error);
	pr_info("formats: |%px|%24px|%-24px|\n", bytes, bytes, bytes);
	pr_info("formats: |%ps|%pS|%pB|%40pS|%-40ps|\n", numbers, numbers, (void *)numbers + 1, numbers, numbers);
	pr_info("formats: |%ps|%pS|%ps|%pSR|\n", &kfree, &kfree, (void *)0x1234, numbers);
	pr_info("formats: |%pks|%pus|%pk|\n", "kernel text", "user text", bytes);
	/* "(____ptrval____)" as long as there was no randomness to make a key of: as long as the digits */
	pr_info("formats: %d characters of hash\n", snprintf(NULL, 0, "%p", bytes));
}

static void data(void)
{
	DECLARE_BITMAP(bits, 70) = { 0x8000000000000f01UL, 0x21 };
	phys_addr_t physical = 0x1234000;
	gfp_t flags = GFP_KERNEL | __GFP_ZERO, none = 0, odd_flags = 0x80000000;
	u32 fourcc = 0x34325258, big = 0xb4325258;
	netdev_features_t features = 0x4001;

	pr_info("formats: |%ph|%*ph|%*phC|%*phD|%*phN|%8ph|\n", bytes, 4, bytes, 4, bytes, 4, bytes, 8, bytes, bytes);
	pr_info("formats: |%*pb|%*pbl|%*pb|%*pbl|\n", 70, bits, 70, bits, 12, bits, 12, bits);
	pr_info("formats: |%*pb|%*pbl|\n", 64, bits, 0, bits);
	pr_info("formats: |%pUb|%pUB|%pUl|%pUL|%pU|%40pUb|\n", uuid, uuid, uuid, uuid, uuid, uuid);
	pr_info("formats: |%pa|%pap|%pad|%pNF|\n", &physical, &physical, &physical, &features);
	pr_info("formats: |%pGg|%pGg|%pGg|\n", &flags, &none, &odd_flags);
	pr_info("formats: |%p4cc|%p4cc|\n", &fourcc, &big);
}

static void networks(void)
{
	static const u8 v4[4] = { 127, 0, 0, 1 };
	static const struct in6_addr six[] = {
		{ { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 } } },
		{ { { 0 } } },
		{ { { [15] = 1 } } },
		{ { { [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 0, [15] = 1 } } },
		{ { { 0x20, 0x01, [8] = 0, 0, 0x5e, 0xfe, 10, 0, 0, 1 } } },
		{ { { 0x20, 0x01, 0, 1, 0, 0, 0, 3, 0, 4, 0, 0, 0, 6, 0, 7 } } },
	};
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(8080),
				  .sin_addr.s_addr = htonl(0xc0a80001) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(443), .sin6_flowinfo = htonl(9),
				    .sin6_scope_id = 2 };
	struct sockaddr other = { .sa_family = AF_UNIX };
	int i;

	pr_info("formats: |%pM|%pMR|%pMF|%pm|%pmR|%20pM|\n", bytes, bytes, bytes, bytes, bytes, bytes);
	pr_info("formats: |%pI4|%pi4|%pI4h|%pI4n|%pI4b|%pI4l|%-15pI4|\n", v4, v4, v4, v4, v4, v4, v4);
	for (i = 0; i < ARRAY_SIZE(six); i++)
		pr_info("formats: |%pI6|%pi6|%pI6c|\n", &six[i], &six[i], &six[i]);
	in6.sin6_addr = six[0];
	pr_info("formats: |%pIS|%pISp|%piSp|%pISph|\n", &in, &in, &in, &in);
	pr_info("formats: |%pIS|%pISc|%pISpc|%pISpfsc|%pISs|\n", &in6, &in6, &in6, &in6, &in6);
	pr_info("formats: |%pIS|%pI5|%pi|\n", &other, v4, v4);
}

static void times_and_resources(void)
{
	struct rtc_time tm = { .tm_year = 124, .tm_mon = 1, .tm_mday = 29, .tm_hour = 7, .tm_min = 8, .tm_sec = 9 };
	time64_t moments[] = { 0, 1700000000, -1, 253402300800LL };
	struct resource mem = DEFINE_RES_MEM(0x1000, 0x20), io = DEFINE_RES_IO(0x3f8, 8), irq = DEFINE_RES_IRQ(4);
	struct resource unset = { .start = 0, .end = 0xff, .flags = IORESOURCE_MEM | IORESOURCE_UNSET |
				  IORESOURCE_PREFETCH | IORESOURCE_MEM_64 };
	struct resource strange = { .start = 1, .end = 2, .flags = IORESOURCE_BUSY };
	int i;

	pr_info("formats: |%ptR|%ptRd|%ptRt|%ptRr|%ptRs|%ptRdr|%ptx|\n", &tm, &tm, &tm, &tm, &tm, &tm, &tm);
	for (i = 0; i < ARRAY_SIZE(moments); i++)
		pr_info("formats: |%ptT|%ptTd|%ptTt|%ptTs|\n", &moments[i], &moments[i], &moments[i], &moments[i]);
	pr_info("formats: |%pR|%pr|%pR|%pR|\n", &mem, &mem, &io, &irq);
	pr_info("formats: |%pR|%pr|%pR|%30pR|\n", &unset, &unset, &strange, &io);
}

static void __printf(1, 2) nested(const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_info("formats: |%pV|%pV|\n", &vaf, &vaf);	/* each time from the first argument on */
	va_end(args);
}

static void wrong(void)
{
	void *nothing = NULL, *low = (void *)8;
	static const char *volatile unsupported = "formats: %d, then %n and %d\n";

	pr_info("formats: |%pM|%pI4|%pUb|%ph|%pR|%pV|%ptR|%pGg|%pd|\n", nothing, nothing, low, low, low, nothing, low,
		low, nothing);
	pr_info("formats: |%pOF|%pO|%pGx|%pNx|%p4xx|%20pM|%-20pM|\n", bytes, bytes, bytes, bytes, bytes, low, nothing);
	printk(unsupported, 1, NULL, 2);
	pr_info("\n");
	pr_info("formats: after that\n");
}

static int __init formats_init(void)
{
	char buffer[8];
	int needed;

	numbers();
	strings();
	pointers();
	data();
	networks();
	times_and_resources();
	nested("%d of %s, %*ph, %c, %d %d %d", 1, "nested", 3, bytes, 'c', 4, 5, 6);
	needed = snprintf(buffer, sizeof(buffer), "%s", "longer than that");
	pr_info("formats: snprintf: %d needed, \"%s\"\n", needed, buffer);
	needed = scnprintf(buffer, sizeof(buffer), "%s", "longer than that");
	pr_info("formats: scnprintf: %d stored, \"%s\"\n", needed, buffer);
	pr_info("formats: nothing stored: %d\n", snprintf(NULL, 0, "%d", 12345));
	wrong();
	return -EAGAIN;
}

module_init(formats_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Every format of printk");
