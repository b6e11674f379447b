// SPDX-License-Identifier: GPL-2.0
/* The result of a check of an image, in the words of qemu-img. */
#include <inttypes.h>
#include <stdio.h>

#include "cmdline/check_report.h"
#include "util/json_text.h"

void check_print(const struct blk_check_result *r)
{
	if (!r->corruptions && !r->leaks && !r->check_errors)
		printf("No errors were found on the image.\n");
	if (r->corruptions)
		printf("\n%" PRIu64 " errors were found on the image.\n"
		       "Data may be corrupted, or further writes to the image may corrupt it.\n",
		       r->corruptions);
	if (r->leaks)
		printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
		       "This means waste of disk space, but no harm to data.\n",
		       r->leaks);
	if (r->check_errors)
		printf("\n%" PRIu64 " internal errors have occurred during the check.\n",
		       r->check_errors);
	if (r->total_clusters && r->allocated_clusters)
		printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
		       "%0.2f%% compressed clusters\n",
		       r->allocated_clusters, r->total_clusters,
		       (double)r->allocated_clusters * 100.0 / (double)r->total_clusters,
		       (double)r->fragmented_clusters * 100.0 / (double)r->allocated_clusters,
		       (double)r->compressed_clusters * 100.0 / (double)r->allocated_clusters);
	if (r->image_end)
		printf("Image end offset: %" PRIu64 "\n", r->image_end);
}

void check_print_repaired(const struct blk_check_result *result)
{
	printf("The following inconsistencies were found and repaired:\n\n"
	       "    %" PRIu64 " leaked clusters\n    %" PRIu64 " corruptions\n\n"
	       "Double checking the fixed image now...\n",
	       result->leaks_fixed, result->corruptions_fixed);
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
	if (value)
		json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* Keys in qemu-img's order, since scripts compare the text; most are omitted when 0. */
json_t *check_json(const struct blk_check_result *r, const char *filename, const char *format)
{
	json_t *object = json_object();

	set_number(object, "image-end-offset", r->image_end);
	set_number(object, "compressed-clusters", r->compressed_clusters);
	set_number(object, "total-clusters", r->total_clusters);
	set_number(object, "corruptions", r->corruptions);
	set_number(object, "corruptions-fixed", r->corruptions_fixed);
	json_object_set_new(object, "check-errors", json_integer((json_int_t)r->check_errors));
	set_number(object, "leaks", r->leaks);
	set_number(object, "leaks-fixed", r->leaks_fixed);
	set_number(object, "allocated-clusters", r->allocated_clusters);
	json_object_set_new(object, "filename", json_text(filename));
	json_object_set_new(object, "format", json_string(format));
	set_number(object, "fragmented-clusters", r->fragmented_clusters);
	return object;
}
