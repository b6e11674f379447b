// SPDX-License-Identifier: GPL-2.0
/* Requests to systemd, over its own socket: there may be no D-Bus daemon. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "util/systemd.h"
#include "util/units.h"

#define MANAGER_SOCKET "unix:path=/run/systemd/private"
#define MANAGER	       "org.freedesktop.systemd1"
#define MANAGER_PATH   "/org/freedesktop/systemd1"
#define TIMEOUT_US     5000000ULL

/* How long systemd may take to move a process after it has agreed to. */
#define MOVE_TRIES  500
#define MOVE_NAP_NS (10 * 1000000L)

/* The functions of libsystemd. */
struct library {
	void *handle;
	typeof(sd_bus_new) *new;
	typeof(sd_bus_set_address) *set_address;
	typeof(sd_bus_start) *start;
	typeof(sd_bus_set_method_call_timeout) *set_method_call_timeout;
	typeof(sd_bus_call_method) *call_method;
	typeof(sd_bus_get_property_string) *get_property_string;
	typeof(sd_bus_error_free) *error_free;
	typeof(sd_bus_unref) *unref;
};

static int load(struct library *lib, struct error *err)
{
	struct {
		const char *name;
		void *function;
	} const table[] = {
		{ "sd_bus_new", &lib->new },
		{ "sd_bus_set_address", &lib->set_address },
		{ "sd_bus_start", &lib->start },
		{ "sd_bus_set_method_call_timeout", &lib->set_method_call_timeout },
		{ "sd_bus_call_method", &lib->call_method },
		{ "sd_bus_get_property_string", &lib->get_property_string },
		{ "sd_bus_error_free", &lib->error_free },
		{ "sd_bus_unref", &lib->unref },
	};

	lib->handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		void *function = lib->handle ? dlsym(lib->handle, table[i].name) : NULL;

		if (!function)
			return error_set(err, -ENOENT, "%s", dlerror());
		memcpy(table[i].function, &function, sizeof(function));
	}
	return 0;
}

static int connect_manager(const struct library *lib, sd_bus **bus, struct error *err)
{
	int ret = lib->new (bus);

	if (ret >= 0)
		ret = lib->set_address(*bus, MANAGER_SOCKET);
	if (ret >= 0)
		ret = lib->start(*bus);
	if (ret >= 0)
		ret = lib->set_method_call_timeout(*bus, TIMEOUT_US);
	return ret < 0 ? error_set_errno(err, ret, "systemd") : 0;
}

/* Return 0 with a connection, which the caller closes by close_manager() in any case. */
static int open_manager(struct library *lib, sd_bus **bus, struct error *err)
{
	int ret;

	*lib = (struct library){ 0 };
	*bus = NULL;
	ret = load(lib, err);
	return ret ? ret : connect_manager(lib, bus, err);
}

/* The library stays loaded, since it has destructors of threads. */
static void close_manager(const struct library *lib, sd_bus *bus)
{
	if (bus)
		lib->unref(bus);
}

bool systemd_runs(void)
{
	/* As sd_booted(3) finds out. */
	return !access("/run/systemd/system/", F_OK);
}

bool systemd_is_stopping(void)
{
	struct library lib;
	char *state = NULL;
	bool stops = false;
	sd_bus *bus;

	if (!open_manager(&lib, &bus, NULL) &&
	    lib.get_property_string(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager", "SystemState",
				    NULL, &state) >= 0)
		stops = !strcmp(state, "stopping");
	free(state);
	close_manager(&lib, bus);
	return stops;
}

/*
 * A scope is not stopped when the system begins to shut down, but with the last processes: the
 * file systems on a device are unmounted before. Nor is it killed when its process refuses to end.
 */
static int start_scope(const struct library *lib, sd_bus *bus, const char *scope,
		       const char *description, struct error *err)
{
	sd_bus_error why = SD_BUS_ERROR_NULL;
	int ret = lib->call_method(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager",
				   "StartTransientUnit", &why, NULL, "ssa(sv)a(sa(sv))", scope,
				   "fail", 5, "Description", "s", description, "PIDs", "au", 1,
				   (uint32_t)getpid(), "DefaultDependencies", "b", 0, "SendSIGKILL",
				   "b", 0, "CollectMode", "s", "inactive-or-failed", 0);

	if (ret < 0)
		error_set(err, ret, "systemd: %s", why.message ? why.message : strerror(-ret));
	lib->error_free(&why);
	return ret < 0 ? ret : 0;
}

static bool is_in(const char *scope)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, scope);
	if (file)
		fclose(file);
	return found;
}

int systemd_leave_caller(const char *description, struct error *err)
{
	const struct timespec nap = { .tv_nsec = MOVE_NAP_NS };
	struct library lib;
	char scope[64];
	sd_bus *bus;
	int ret = open_manager(&lib, &bus, err);

	/* By the process, since an earlier one's of the same device may not be gone. */
	snprintf(scope, sizeof(scope), "qedblk-%d.scope", (int)getpid());
	if (!ret)
		ret = start_scope(&lib, bus, scope, description, err);
	close_manager(&lib, bus);
	for (int i = 0; !ret && !is_in(scope); i++) {
		if (i == MOVE_TRIES)
			ret = error_set_errno(err, -ETIMEDOUT, "systemd: %s", scope);
		nanosleep(&nap, NULL);
	}
	return ret;
}
