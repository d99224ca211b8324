// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recorder's only program inside the real kernel: it is /init of the initramfs.
 *
 * It reads /plan (one operation a line: key=value, separated by tabs, values percent-encoded), performs each
 * operation in a forked child, so that an oops ends that child only, and writes what it saw as text lines into
 * the memory of an ivshmem device (or, where lockdown forbids mapping it, to the second serial port).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define IMAGE_AT  0x10000000ul		/* where init_module's image lies in the caller */
#define PARAMS_AT 0x30000000ul
#define NAME_AT   0x38000000ul
#define MAX_KEYS  32
#define MAX_SLOTS 16

/* ---- output ------------------------------------------------------------------------------------------- */

static char *shared;			/* the ivshmem memory: u64 length, then text */
static size_t shared_size;
static int serial = -1;

static void put(const char *data, size_t length)
{
	if (shared) {
		uint64_t used = *(volatile uint64_t *)shared;

		if (8 + used + length <= shared_size) {
			memcpy(shared + 8 + used, data, length);
			*(volatile uint64_t *)shared = used + length;
		}
		return;
	}
	while (length) {
		ssize_t done = write(serial, data, length);

		if (done <= 0)
			return;
		data += done;
		length -= done;
	}
}

static void say(const char *format, ...)
{
	char line[512];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof line, format, list);
	va_end(list);
	put(line, length);
}

static void say_encoded(const char *data, size_t length)
{
	static char buffer[4096];
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = data[i];

		if (c > ' ' && c < 0x7f && c != '%')
			buffer[used++] = c;
		else
			used += sprintf(buffer + used, "%%%02x", c);
		if (used > sizeof buffer - 8) {
			put(buffer, used);
			used = 0;
		}
	}
	put(buffer, used);
}

static void say_named(const char *kind, const char *path)
{
	say("%s\t", kind);
	say_encoded(path, strlen(path));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			perror(path);
		close(fd);
	}
}

static char *read_whole(const char *path, size_t *length)
{
	size_t room = 65536, used = 0;
	char *data = malloc(room);
	int fd = open(path, O_RDONLY);
	int error = errno;

	while (fd >= 0) {
		ssize_t got;

		if (used + 65536 > room)
			data = realloc(data, room *= 2);
		got = read(fd, data + used, room - used - 1);
		if (got < 0) {
			error = errno;
			close(fd);
			fd = -1;
		}
		if (got <= 0)
			break;
		used += got;
	}
	if (fd < 0) {
		free(data);
		errno = error;
		return NULL;
	}
	close(fd);
	data[used] = 0;
	*length = used;
	return data;
}

static int map_ivshmem(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/sys/bus/pci/devices");
	char path[512];

	while (dir && (entry = readdir(dir))) {
		size_t length;
		char *vendor, *device;
		struct stat st;
		int fd;

		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vendor", entry->d_name);
		vendor = read_whole(path, &length);
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/device", entry->d_name);
		device = read_whole(path, &length);
		if (!vendor || !device || strncmp(vendor, "0x1af4", 6) || strncmp(device, "0x1110", 6))
			continue;
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/enable", entry->d_name);
		write_text(path, "1");
		snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource2", entry->d_name);
		fd = open(path, O_RDWR);
		if (fd < 0 || fstat(fd, &st))
			return -1;
		shared_size = st.st_size;
		shared = mmap(NULL, shared_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (shared == MAP_FAILED)
			shared = NULL;
		return shared ? 0 : -1;
	}
	return -1;
}

static void open_serial(void)
{
	struct termios raw;

	serial = open("/dev/ttyS1", O_WRONLY | O_NOCTTY);
	if (serial >= 0 && !tcgetattr(serial, &raw)) {
		cfmakeraw(&raw);
		cfsetspeed(&raw, B115200);
		tcsetattr(serial, TCSANOW, &raw);
	}
}

/* ---- operations as read from the plan ----------------------------------------------------------------- */

struct value {
	const char *key;
	char *data;
	size_t length;
};

static struct value values[MAX_KEYS];
static int value_count;

static size_t decode(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		if (*from == '%') {
			char hex[3] = { from[1], from[2], 0 };

			*to++ = strtoul(hex, NULL, 16);
			from += 3;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
	return to - text;
}

static void parse_line(char *line)
{
	value_count = 0;
	for (char *part = strtok(line, "\t"); part && value_count < MAX_KEYS; part = strtok(NULL, "\t")) {
		char *equals = strchr(part, '=');

		if (!equals)
			continue;
		*equals = 0;
		values[value_count].key = part;
		values[value_count].data = equals + 1;
		values[value_count++].length = decode(equals + 1);
	}
}

static struct value *find(const char *key)
{
	for (int i = 0; i < value_count; i++)
		if (!strcmp(values[i].key, key))
			return &values[i];
	return NULL;
}

static const char *text_of(const char *key, const char *otherwise)
{
	struct value *value = find(key);

	return value ? value->data : otherwise;
}

static unsigned long number_of(const char *key, unsigned long otherwise)
{
	struct value *value = find(key);

	return value ? strtoul(value->data, NULL, 0) : otherwise;
}

/* ---- one call, inside the child ------------------------------------------------------------------------ */

struct outcome {
	long result;
	int error;
	int at;			/* 1 when only the preparation failed */
};

static struct outcome *outcome;
static pid_t slots[MAX_SLOTS];		/* processes that hold something */

static void place(unsigned long address, const char *data, size_t length)
{
	size_t room = (length + 4095) & ~4095ul;
	void *at;

	if (!room)
		room = 4096;
	at = mmap((void *)address, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (at != MAP_FAILED)
		memcpy(at, data, length);
}

static void unmap_wanted(void)
{
	struct value *value = find("unmap");
	char *colon;

	if (!value || !(colon = strchr(value->data, ':')))
		return;
	munmap((void *)strtoul(value->data, NULL, 0), strtoul(colon + 1, NULL, 0));
}

static void become(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2] = { { 0 } };
	struct value *wanted = find("caps"), *uid = find("uid");

	if (uid) {
		unsigned int id = strtoul(uid->data, NULL, 0);

		if (wanted)
			prctl(PR_SET_KEEPCAPS, 1);
		syscall(SYS_setresuid, id, id, id);
	}
	if (wanted) {
		uint64_t mask = strtoull(wanted->data, NULL, 0);

		for (int i = 0; i < 2; i++)
			caps[i].effective = caps[i].permitted = mask >> (32 * i);
		syscall(SYS_capset, &header, caps);
	}
}

static int open_wanted(const char *file, const char *how)
{
	int ends[2];

	if (!strcmp(how, "closed"))
		return 999;
	if (!strcmp(how, "directory"))
		return open("/", O_RDONLY);
	if (!strcmp(how, "pipe"))
		return pipe(ends) ? -1 : ends[0];
	if (!strcmp(how, "wronly"))
		return open(file, O_WRONLY);
	if (!strcmp(how, "rdwr"))
		return open(file, O_RDWR);
	if (!strcmp(how, "path"))
		return open(file, O_PATH);
	if (!strcmp(how, "written") && open(file, O_WRONLY) < 0)
		return -1;
	return open(file, O_RDONLY);
}

static long call_finit(void)
{
	struct value *params = find("params");
	unsigned long params_at = PARAMS_AT;
	int fd = open_wanted(text_of("file", ""), text_of("open", "rdonly"));

	if (fd < 0) {
		outcome->at = 1;
		return -1;
	}
	place(PARAMS_AT, params ? params->data : "", params ? params->length + 1 : 1);
	params_at = number_of("params_at", params_at);
	unmap_wanted();
	become();
	errno = 0;
	return syscall(SYS_finit_module, fd, params_at, (int)number_of("flags", 0));
}

static long call_init(void)
{
	struct value *params = find("params");
	size_t length = 0;
	char *image = read_whole(text_of("file", ""), &length);

	if (!image) {
		outcome->at = 1;
		return -1;
	}
	place(IMAGE_AT, image, length);
	place(PARAMS_AT, params ? params->data : "", params ? params->length + 1 : 1);
	unmap_wanted();
	become();
	errno = 0;
	return syscall(SYS_init_module, number_of("image_at", IMAGE_AT), number_of("length", length),
		       number_of("params_at", PARAMS_AT));
}

static long call_delete(void)
{
	struct value *name = find("name");

	place(NAME_AT, name ? name->data : "", name ? name->length + 1 : 1);
	unmap_wanted();
	become();
	errno = 0;
	return syscall(SYS_delete_module, number_of("name_at", NAME_AT), (unsigned int)number_of("flags", O_NONBLOCK));
}

static long call_write(void)
{
	struct value *data = find("data");
	int fd;

	become();
	fd = open(text_of("path", ""), O_WRONLY);
	if (fd < 0) {
		outcome->at = 1;
		return -1;
	}
	errno = 0;
	return write(fd, data ? data->data : "", data ? data->length : 0);
}

static long call_wanted(const char *call)
{
	if (!strcmp(call, "finit"))
		return call_finit();
	if (!strcmp(call, "init"))
		return call_init();
	if (!strcmp(call, "delete"))
		return call_delete();
	if (!strcmp(call, "write"))
		return call_write();
	errno = ENOSYS;
	return -1;
}

static pid_t start_child(const char *call)
{
	pid_t child;

	outcome = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (child)
		return child;
	prctl(PR_SET_NAME, text_of("comm", !strcmp(call, "delete") ? "rmmod" : "insmod"));
	outcome->result = call_wanted(call);
	outcome->error = outcome->result < 0 ? errno : 0;
	_exit(0);
}

/* Returns the wait status, or -1 when the child had to be given up. */
static int finish_child(pid_t child, unsigned long timeout_ms)
{
	int status;

	for (unsigned long i = 0; i < timeout_ms * 2; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		usleep(500);
	}
	kill(child, SIGKILL);
	usleep(500000);
	return -1;
}

/* ---- what the kernel shows afterwards ------------------------------------------------------------------- */

/* A record without a newline can be read only when the next one begins: this is the next one. */
#define MARK "realkernel: end of step\n"

static int kmsg;

static void say_log(void)
{
	static char record[16384];
	ssize_t got;

	write_text("/dev/kmsg", MARK);
	for (;;) {
		got = read(kmsg, record, sizeof record);
		if (got < 0 && errno == EPIPE)
			continue;
		if (got <= 0)
			return;
		if (memmem(record, got, MARK, sizeof MARK - 1))
			continue;
		put("log\t", 4);
		say_encoded(record, got);
		put("\n", 1);
	}
}

static void say_file(const char *path)
{
	size_t length;
	char *data = read_whole(path, &length);

	say_named("file", path);
	put("\t", 1);
	if (data)
		say_encoded(data, length);
	else
		say("!%d", errno);
	put("\n", 1);
	free(data);
}

static void say_tree(const char *path)
{
	char inner[768];
	struct stat st;
	struct dirent **entries;
	int count;

	if (lstat(path, &st))
		return;
	if (S_ISLNK(st.st_mode)) {
		say_named("link", path);
		put("\n", 1);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		say_named("mode", path);
		say("\t%o\n", st.st_mode & 07777);
		say_file(path);
		return;
	}
	say_named("dir", path);
	put("\n", 1);
	count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, name);
		say_tree(inner);
	}
}

static void say_symbols(const char *module)
{
	char tail[128], *line = NULL;
	size_t room = 0;
	ssize_t length;
	FILE *file = fopen("/proc/kallsyms", "r");

	snprintf(tail, sizeof tail, "\t[%s]\n", module);
	while (file && (length = getline(&line, &room, file)) > 0) {
		size_t end = strlen(tail);

		if ((size_t)length > end && !strcmp(line + length - end, tail)) {
			put("symbol\t", 7);
			say_encoded(line, length - 1);
			put("\n", 1);
		}
	}
	if (file)
		fclose(file);
	free(line);
}

/* Whoever dies with module_mutex held leaves /proc/modules blocked for everybody: only a child may try. */
static int modules_readable(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		size_t length;

			free(read_whole("/proc/modules", &length));
		_exit(0);
	}
	for (int i = 0; i < 4000; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return 1;
		usleep(500);
	}
	kill(child, SIGKILL);
	return 0;
}

static void say_state(void)
{
	say_log();
	if (modules_readable())
		say_file("/proc/modules");
	else
		say("blocked\n");
	say_file("/proc/sys/kernel/tainted");
}

static void say_outcome(int status)
{
	say("result\t%ld\t%d\t%d\t%d\n", outcome->result, outcome->error,
	    status == -1 ? -1 : WIFSIGNALED(status) ? WTERMSIG(status) : 0, outcome->at);
}

static int in_proc_modules(const char *name)
{
	char line[256];
	size_t length = strlen(name);
	int found = 0;
	FILE *file = fopen("/proc/modules", "r");

	while (file && fgets(line, sizeof line, file))
		found |= !strncmp(line, name, length) && line[length] == ' ';
	if (file)
		fclose(file);
	return found;
}

/* ---- the plan --------------------------------------------------------------------------------------------- */

struct running {
	pid_t child;
	struct outcome *outcome;
};

static struct running running[MAX_SLOTS];

static int count_lines(const char *path, const char *text)
{
	char *line = NULL;
	size_t room = 0;
	int found = 0;
	FILE *file = fopen(path, "r");

	while (file && getline(&line, &room, file) > 0)
		found += !!strstr(line, text);
	if (file)
		fclose(file);
	free(line);
	return found;
}

/* Init memory is given back by a work item: wait until each module has its core, and each that is Loading its init. */
static void settle_memory(void)
{
	for (int i = 0; i < 300; i++) {
		int modules = count_lines("/proc/modules", " ");

		if (count_lines("/proc/vmallocinfo", " load_module+") <= modules + count_lines("/proc/modules", " Loading "))
			break;
		usleep(10000);
	}
}

static void settle(int changed)
{
	if (changed && !find("settle"))
		settle_memory();
	usleep(1000 * number_of("settle", 10));
}

static void do_call(const char *call)
{
	pid_t child = start_child(call);

	if (find("background")) {		/* wait until it is listed (or over), go on with the plan meanwhile */
		unsigned long slot = number_of("background", 0) % MAX_SLOTS;

		running[slot].child = child;
		running[slot].outcome = outcome;
		for (int i = 0; i < 4000 && !in_proc_modules(text_of("until", "")); i++)
			usleep(1000);
		usleep(200000);
		say("started\n");
	} else {
		int status = finish_child(child, number_of("timeout", 20000));

		settle(!status && outcome->result == 0);	/* who was killed may have died with module_mutex held */
		say_outcome(status);
	}
	say_state();
}

static void do_join(void)
{
	struct running *one = &running[number_of("background", 0) % MAX_SLOTS];
	int status = finish_child(one->child, number_of("timeout", 20000));

	outcome = one->outcome;
	settle(!status);
	say_outcome(status);
	say_state();
}

/* A process of its own holds the descriptor: nobody else may inherit it, for closing it can be fatal. */
static void do_hold(void)
{
	struct outcome *shown = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t *slot = &slots[number_of("slot", 0) % MAX_SLOTS];

	*slot = fork();
	if (!*slot) {
		shown->result = open(text_of("path", ""), O_RDONLY | O_NONBLOCK);
		shown->error = errno;
		shown->at = 1;
		for (;;)
			pause();
	}
	while (!*(volatile int *)&shown->at)
		usleep(500);
	say("result\t%d\t%d\t0\t0\n", shown->result < 0 ? -1 : 0, shown->result < 0 ? shown->error : 0);
	say_state();
}

static void do_release(void)
{
	pid_t *slot = &slots[number_of("slot", 0) % MAX_SLOTS];

	kill(*slot, SIGKILL);
	waitpid(*slot, NULL, 0);
	settle(0);
	say("result\t0\t0\t0\t0\n");
	say_state();
}

static void do_read(void)
{
	size_t length = 0;
	char *data = read_whole(text_of("path", ""), &length);

	say("result\t%ld\t%d\t0\t0\n", data ? (long)length : -1, data ? 0 : errno);
	if (data) {		/* said from what was read: some devices give it only once */
		say_named("file", text_of("path", ""));
		put("\t", 1);
		say_encoded(data, length);
		put("\n", 1);
	}
	free(data);
	say_state();
}

static void do_snapshot(void)
{
	char path[512];

	say("result\t0\t0\t0\t0\n");
	snprintf(path, sizeof path, "/sys/module/%s", text_of("module", ""));
	say_tree(path);
	say_symbols(text_of("module", ""));
	say_state();
}

static void do_line(char *line)
{
	const char *op;

	parse_line(line);
	op = text_of("op", "");
	say("op\t%s\n", text_of("index", ""));
	if (!strcmp(op, "hold"))
		do_hold();
	else if (!strcmp(op, "release"))
		do_release();
	else if (!strcmp(op, "read"))
		do_read();
	else if (!strcmp(op, "snapshot"))
		do_snapshot();
	else if (!strcmp(op, "tree"))
		say("result\t0\t0\t0\t0\n"), say_tree(text_of("path", "")), say_state();
	else if (!strcmp(op, "join"))
		do_join();
	else if (!strcmp(op, "wait"))
		settle(0), say("result\t0\t0\t0\t0\n"), say_state();
	else
		do_call(op);
	put("end\n", 4);
}

static void prepare(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("securityfs", "/sys/kernel/security", "securityfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (map_ivshmem())
		open_serial();
	usleep(1500000);			/* the kernel's own late messages */
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	lseek(kmsg, 0, SEEK_END);
}

int main(void)
{
	size_t length = 0;
	char *plan, *next;

	prepare();
	say("begin\n");
	say_file("/proc/version");
	say_file("/proc/cmdline");
	say_state();
	say("end\n");
	plan = read_whole("/plan", &length);
	for (char *line = plan; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		do_line(line);
	}
	say("finished\n");
	if (serial >= 0)
		tcdrain(serial);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
