// SPDX-License-Identifier: GPL-2.0
/*
 * Names and options of images: json:{...}, NAME=VALUE lists, URIs of exports, sizes.  The first
 * byte selects one of these; nothing is opened.
 */
#include <stdlib.h>
#include <string.h>

#include "file/name.h"
#include "file/options.h"
#include "image/image.h"
#include "image/image_opts.h"
#include "image/size.h"
#include "file/nbd/options.h"
#include "file/nbd/uri.h"
#include "fuzz.h"
#include "util/units.h"

/* A failure has one error line, a success none. */
static void check_error(int ret, struct error *err)
{
	fuzz_require(ret <= 0 && (ret < 0) == (err->code < 0), "an error without a line");
	error_free(err);
}

static void use_options(struct blk_options *options)
{
	struct blk_options *part = NULL;
	struct error err = ERROR_INIT;
	uint64_t bytes;
	char *name;
	bool on;

	(void)blk_options_take_switch(options, "read-only", &on, &err);
	error_free(&err);
	(void)blk_options_take_size(options, "size", &bytes, &err);
	error_free(&err);
	if (!blk_options_take_part(options, "file", &part, &err) && part) {
		name = NULL;
		check_error(nbd_name_from(part, &name, &err), &err);
		if (name)
			fuzz_require(nbd_uri_matches(name), "a name that is none of NBD");
		free(name);
		(void)blk_options_add_part(options, "again", part);
		(void)blk_options_left(part);
		blk_options_free(part);
	}
	error_free(&err);
	(void)blk_options_has_part(options, "backing");
	(void)blk_options_left(options);
}

static void try_json(const char *text)
{
	struct blk_options *options;
	struct error err = ERROR_INIT;
	int ret;

	if (!blk_name_is_json(text))
		return;
	ret = blk_options_parse_json(&options, text, &err);
	check_error(ret, &err);
	if (ret)
		return;
	use_options(options);
	blk_options_free(options);
}

static void try_list(const char *text, const char *implied, bool strict)
{
	struct blk_options *options;
	struct error err = ERROR_INIT;
	int ret;

	(void)image_opts_want_help(text);
	ret = image_opts_parse(&options, text, implied, strict, &err);
	check_error(ret, &err);
	if (ret)
		return;
	use_options(options);
	blk_options_free(options);
}

static void try_name(const char *text)
{
	struct image_cache cache;
	struct nbd_uri uri;
	struct error err = ERROR_INIT;
	char *place, *name;

	(void)blk_is_identifier(text);
	(void)image_cache_parse(text, &cache);
	check_error(blk_name_beside(text, text, &name, &err), &err);
	free(name);
	check_error(blk_name_place(text, NULL, &place, NULL, &err), &err);
	if (place) {
		fuzz_require(!blk_name_place(place, NULL, &name, NULL, &err) &&
				     !strcmp(name, place),
			     "a place that is not a name of itself");
		free(name);
	}
	free(place);
	if (!nbd_uri_matches(text))
		return;
	check_error(nbd_uri_parse(&uri, text, &err), &err);
	nbd_uri_free(&uri);
}

static void try_size(const char *text)
{
	uint64_t bytes = 0, again = 0;
	char shown[32];
	int ret = parse_size(text, &bytes);

	fuzz_require(ret || bytes <= INT64_MAX, "a size that is too large");
	format_size(shown, sizeof(shown), bytes);
	fuzz_require(strlen(shown) < sizeof(shown) - 1, "a size that is too long");
	/* The image tools take blanks before a number, as QEMU's do. */
	ret = parse_size(skip_blanks(text), &bytes);
	fuzz_require(!image_parse_size(text, &again) == !ret && (ret || again == bytes),
		     "a size that is two");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	fuzz_quiet(true);
	switch (data[0] % 6) {
	case 0:
		try_json(text);
		break;
	case 1:
		try_list(text, NULL, false);
		break;
	case 2:
		try_list(text, "file", false);
		break;
	case 3:
		try_list(text, NULL, true);
		break;
	case 4:
		try_name(text);
		break;
	default:
		try_size(text);
	}
	fuzz_quiet(false);
	free(text);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	static const char *const seeds[] = {
		/* '0' is 48, which is 0 modulo 6. */
		"0json:{\"driver\":\"qed\",\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":"
		"\"unix\",\"path\":\"/s\"},\"export\":\"a b\"},\"backing\":null}",
		"0json:{\"file\":{\"driver\":\"nbd\",\"server.type\":\"inet\",\"server.host\":"
		"\"::1\",\"server.port\":\"1\",\"reconnect-delay\":5,\"tls-creds\":\"t\"},"
		"\"read-only\":true,\"size\":1024}",
		"0json:{\"a\":[{\"b\":[1,2,null,false]}],\"driver\":\"raw\",\"file\":\"x\"}",
		"0json:{'a': 'b\\'\"c', \"d\": \"e\\'f\"}",
		"1driver=qed,file.driver=nbd,file.host=h,file.port=1,,2,read-only=on,size=3k",
		"1file.path=/s,file.export=e,nocache,help,file.reconnect-delay=7",
		"2a.img,backing.driver=raw,backing.file.filename=b,,c",
		"3id=a,size=1.5G,read-only=off",
		"4nbd://[::1]:10809/disk?reconnect-delay=5&tls-psk-file=k&reply-timeout=7",
		"4nbd:unix:/run/s:exportname=a b",
		"4nbd:host:10809:exportname=x",
		"4file:../a/b.img",
		"4host_device:nbd:x",
		"4a:b",
		"50x1000",
		"51.5G",
		"59223372036854775807",
		"5-1k",
	};

	return fuzz_seed_text(seeds, ARRAY_SIZE(seeds), n, buf);
}
