// SPDX-License-Identifier: GPL-2.0
/* qedctl where: print the folder of the servers' sockets. */
#include <stdio.h>

#include "client/client.h"
#include "client/json.h"
#include "qedctl/qedctl.h"

static int run_where(int argc, char **argv)
{
	json_t *object;
	bool json;

	if (parse_json_only(argc, argv, &json))
		return 1;
	if (!json) {
		printf("%s\n", client_run_dir());
		return 0;
	}
	object = json_pack("{s:s}", "folder", client_run_dir());
	json_print(object);
	json_decref(object);
	return 0;
}

const struct verb ctl_where_verb = {
	.name = "where",
	.synopsis = "[--json]",
	.summary = "print the folder of the servers' sockets",
	.options = VERB_JSON_HELP,
	.example = "qedctl where",
	.run = run_where,
};
