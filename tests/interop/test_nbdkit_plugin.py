#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# threads: yes
"""nbdkit-qed-plugin.so: the standard NBD clients on images that it serves, what it reports about
itself, many connections, and the image after it is killed."""

import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import time

import interop
from interop import Failure, KiB, MiB, must, QED_IMG
from nbdkit import Client, Nbdkit, PLUGIN, plugin_env, wait_until

SIZE = 32 * MiB
CLUSTER = 64 * KiB
EINVAL, EPERM, ENOTSUP = 22, 1, 95


def serve(*args, **keywords):
    """Return a server for image vm.qed, or with the arguments @args."""
    return Nbdkit(PLUGIN, *(args or ("image=vm.qed",)), env=plugin_env(), **keywords)


def make_golden(name, rng):
    with open(name, "wb") as file:
        file.truncate(SIZE)
        for start in range(0, SIZE, MiB):
            if rng.randrange(2):
                file.seek(start + rng.randrange(MiB // 2))
                file.write(rng.randbytes(rng.randrange(1, MiB // 2)))


def new_image(*options, size=SIZE):
    if os.path.exists("vm.qed"):
        os.unlink("vm.qed")
    must(QED_IMG, "create", "-q", "-f", "qed", *options, "vm.qed", str(size))


def expect_file(name, expected):
    difference = interop.first_difference(name, expected)
    if difference:
        raise Failure("%s: %s" % (name, difference))


def test_said():
    """What the plugin reports about itself, and about an image."""
    dump = must("env", *("%s=%s" % item for item in plugin_env().items()), "nbdkit", PLUGIN,
                "--dump-plugin").out
    for line in ("name=qed", "thread_model=parallel", "magic_config_key=image", "qed_formats=qed"):
        if line not in dump:
            raise Failure("--dump-plugin lacks %s: %s" % (line, dump))
    new_image()
    with serve() as server:
        info = json.loads(must("nbdinfo", "--json", server.url()).out)["exports"][0]
    wrong = [key for key in ("can_cache", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn",
                             "can_trim", "can_zero") if not info[key]]
    if wrong or info["is_read_only"] or info["is_rotational"] or info["export-size"] != SIZE:
        raise Failure("nbdinfo: %s %s" % (wrong, info))
    if info["block_size_minimum"] != 1 or info["block_size_preferred"] != CLUSTER:
        raise Failure("block sizes: %s" % info)


def test_manual():
    """The manual page and --help name the same parameters."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    page = must(os.path.join(root, "scripts/man-page"),
                os.path.join(root, "Documentation/man/nbdkit-qed-plugin.1.rst"),
                os.path.join(os.path.dirname(PLUGIN), "man-options")).out
    text = must("env", *("%s=%s" % item for item in plugin_env().items()), "nbdkit", PLUGIN,
                "--help").out
    in_page = set(re.findall(r"^(?:``[a-z0-9-]+=[^`]*``, )?``([a-z0-9-]+)=[^`]*``", page, re.M))
    in_page |= set(re.findall(r"^``([a-z0-9-]+)=", page, re.M))
    in_help = set(re.findall(r"(?:^|, )([a-z0-9-]+)=", text, re.M))
    if in_page != in_help or not in_help:
        raise Failure("manual page: %s, --help: %s" % (sorted(in_page), sorted(in_help)))


def test_read_only():
    new_image()
    before = interop.read_file("vm.qed")
    with serve(options=["-r"]) as server:
        info = json.loads(must("nbdinfo", "--json", server.url()).out)["exports"][0]
        if not info["is_read_only"] or info["can_trim"] or info["can_zero"]:
            raise Failure("nbdinfo: %s" % info)
        # A read-only server lets other programs read.
        must("qemu-img", "check", "-f", "qed", "vm.qed")
        client = Client(server.socket)
        for command in (Client.WRITE, Client.TRIM, Client.ZEROES):
            error, _ = client.request(command, 0, 512, 0,
                                      bytes(512) if command == Client.WRITE else b"")
            if error not in (EPERM, EINVAL):
                raise Failure("command %d: error %d" % (command, error))
        client.close()
        server.stop()
    if interop.read_file("vm.qed") != before:
        raise Failure("the image was written")


def expect_served_read_only(image, why):
    with serve("image=" + image) as server:
        info = json.loads(must("nbdinfo", "--json", server.url()).out)["exports"][0]
        must("nbdcopy", server.url(), "back.raw")
        log = server.log()
        server.stop()
    if not info["is_read_only"] or info["can_trim"] or info["can_zero"]:
        raise Failure("%s: %s" % (image, info))
    if log.count(why + ": it is served for reading only") != 1:
        raise Failure("%s: %s" % (image, log))


def test_not_writable(rng):
    """Without -r, what cannot be written to is served for reading, and the reason is printed."""
    make_golden("golden.raw", rng)
    must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "golden.raw", "golden.qcow2")
    expect_served_read_only("golden.qcow2", "golden.qcow2: format qcow2 cannot be written to")
    expect_file("back.raw", interop.read_file("golden.raw"))
    # Permissions say that a program can be written to, but not while it runs.
    shutil.copy("/bin/sleep", "running.raw")
    with subprocess.Popen(("./running.raw", "1000")) as running:
        try:
            expect_served_read_only("running.raw", "running.raw: Text file busy")
        finally:
            running.kill()
    # With a preloaded sanitizer nbdkit never gets through p11-kit's destructor, which libnbd brings in.
    if not interop.SANITIZE:
        with Nbdkit("file", "golden.raw") as far:
            expect_served_read_only(far.url(), "network images can only be read")
    # The shell that nbdkit starts for --run does not survive a preloaded ThreadSanitizer.
    if "thread" in interop.SANITIZE:
        return
    # Permissions do not stop root.
    os.mkdir("mount")
    script = ("mount -t tmpfs none mount && cp golden.raw mount && mount -o remount,ro mount && "
              "exec nbdkit -f -U - %s image=mount/golden.raw "
              "--run 'nbdinfo --is readonly \"$uri\"'" % PLUGIN)
    if interop.run("unshare", "-rm", "mount", "-t", "tmpfs", "none", "mount").status:
        print("# no mount namespaces: a read-only file system is not tried")
        return
    result = interop.run("unshare", "-rm", "env",
                         *("%s=%s" % item for item in plugin_env().items()), "sh", "-c", script)
    if result.status or "Read-only file system: it is served" not in result.err:
        raise Failure("on a read-only file system: %s" % result)


def test_bad_parameters():
    new_image()
    interop.write_file("junk", b"junk" * 1000)
    os.mkdir("allowed")
    must(QED_IMG, "create", "-q", "-f", "qed", "-b", "junk", "-F", "raw", "over.qed")
    for args, word in ((["image=missing"], "missing: No such file"),
                       (["image=junk", "format=qed"], "junk"),
                       (["image=vm.qed", "l2-cache=x"], "l2-cache: 'x' is not a size"),
                       (["image=vm.qed", "nonsense=1"], "unknown parameter 'nonsense'"),
                       (["image=vm.qed", "copy-on-read=perhaps"], "boolean"),
                       (["image=vm.qed", "backing=junk"], "no backing file"),
                       (["image=new.qed", "backing=missing"], "missing: No such file"),
                       (["image=over.qed", "backing-dir=allowed"], "junk"),
                       (["image=over.qed", "backing=none"], "backing file"),
                       (["image="], "error: image: an empty file name"),
                       (["image=vm.qed", "backing-dir="], "error: backing-dir: an empty file name"),
                       (["image=vm.qed", "backing-dir=nowhere"], "nowhere: No such file"),
                       (["image=vm.qed", "backing-format=raw"], "backing-format: needs the option backing"),
                       ([], "image is needed")):
        result = must("sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", "env",
                      *("%s=%s" % item for item in plugin_env().items()),
                      "nbdkit", "-f", "-U", "-", PLUGIN, *args)
        lines = result.out.strip().splitlines()
        if lines[-1] != "status 1" or len(lines) != 2 or word not in lines[0]:
            raise Failure("%s: %s" % (args, result.out))
    if os.path.exists("new.qed"):
        raise Failure("an image was left behind")


def merged(runs):
    """Return (offset, length, is zero) of the runs, with equal neighbours merged."""
    result = []
    for offset, length, zero in runs:
        if result and result[-1][2] == zero:
            result[-1] = (result[-1][0], result[-1][1] + length, zero)
        else:
            result.append((offset, length, zero))
    return result


def nbd_map(server):
    entries = json.loads(must("nbdinfo", "--map", "--json", server.url()).out)
    return merged((e["offset"], e["length"], e["type"] == 3) for e in entries)


def qemu_map(*args):
    entries = json.loads(must("qemu-img", "map", "--output=json", *args).out)
    return merged((e["start"], e["length"], e["zero"]) for e in entries)


def test_map(rng):
    """Data, zero clusters, holes, and a shorter backing file that has both."""
    make_golden("golden.raw", rng)
    os.truncate("golden.raw", SIZE - 5 * MiB)
    new_image("-b", "golden.raw", "-F", "raw")
    script = []
    for _ in range(40):
        offset, length = rng.randrange(SIZE - MiB), rng.randrange(1, MiB)
        script += ["-c", "write -q%s %d %d" % (rng.choice((" -P 5", " -z", " -P 9")), offset, length)]
    must(interop.QED_IO, "-f", "qed", *script, "vm.qed")
    want = qemu_map("-f", "qed", "vm.qed")
    with serve(options=["-r"]) as server:
        got = nbd_map(server)
    if got != want:
        raise Failure("nbdinfo --map: %s instead of %s" % (got, want))
    # Without a backing file an unallocated range is a hole.
    new_image()
    must(interop.QED_IO, "-f", "qed", "-c", "write -q 5M 1M", "-c", "write -q -z 8M 1M", "vm.qed")
    with serve(options=["-r"]) as server:
        got = nbd_map(server)
    if got != qemu_map("-f", "qed", "vm.qed"):
        raise Failure("nbdinfo --map without a backing file: %s" % got)
    # The same during writes, for an image of many small runs.
    new_image("-b", "golden.raw", "-F", "raw", "-o", "cluster_size=4096")
    with serve() as server:
        must("qemu-io", "-f", "raw", *(arg for i in range(1500) for arg in (
            "-c", "write -q -P 1 %d 4k" % (i * 8 * KiB))), server.url())
        got = nbd_map(server)
        server.stop()
    want = qemu_map("-f", "qed", "vm.qed")
    if got != want or len(got) < 1000:
        raise Failure("many runs: %d instead of %d" % (len(got), len(want)))


def test_copy(rng):
    """nbdcopy there and back; zeroes take no space."""
    make_golden("golden.raw", rng)
    new_image()
    with serve() as server:
        must("nbdcopy", "--flush", "golden.raw", server.url())
        must("nbdcopy", server.url(), "back.raw")
        server.stop()
    expect_file("back.raw", interop.read_file("golden.raw"))
    interop.check_image("vm.qed")
    must("qemu-img", "compare", "-f", "qed", "-F", "raw", "vm.qed", "golden.raw")
    data = sum(length for _, length, zero in qemu_map("-f", "qed", "vm.qed") if not zero)
    source = interop.read_file("golden.raw")
    zero = bytes(CLUSTER)
    want = sum(source[at:at + CLUSTER] != zero for at in range(0, SIZE, CLUSTER)) * CLUSTER
    # nbdcopy detects zeroes in blocks as large as the source's holes: a cluster at each end of a
    # hole is data.
    if data > 2 * want:
        raise Failure("%d bytes of data instead of %d" % (data, want))


def kept(image):
    """Return the runs of an open image that are allocated in it and not in its backing file."""
    runs = json.loads(must("qemu-img", "map", "-U", "--output=json", "-f", "qed", image).out)
    return merged((e["start"], e["length"], True) for e in runs if e["depth"] == 0 and e["present"])


def test_copy_on_read(rng):
    """An image that the plugin creates; what was read is populated, zeroes as zeroes."""
    make_golden("golden.raw", rng)
    golden = interop.read_file("golden.raw")
    for name in ("cow.qed",):
        if os.path.exists(name):
            os.unlink(name)
    with serve("image=cow.qed", "backing=golden.raw", "backing-format=raw") as server:
        must("nbdcopy", server.url(), "back.raw")
        # nbdcopy does not read holes, so those are not populated: read everything, in order.
        must("qemu-io", "-r", "-f", "raw", *(arg for at in range(0, SIZE, MiB) for arg in (
            "-c", "read -q %d 1M" % at)), server.url())
        # Reads populate in the background, and what is not done when the server ends is dropped.
        wait_until(lambda: kept("cow.qed") == [(0, SIZE, True)], "keeping what was read")
        server.stop()
    expect_file("back.raw", golden)
    if not interop.read_header("cow.qed")["features"] & interop.F_NO_PROBE:
        raise Failure("the backing file's format will be guessed")
    interop.check_image("cow.qed")
    shutil.move("golden.raw", "moved.raw")
    interop.write_file("golden.raw", bytes(SIZE))
    must("qemu-img", "compare", "-f", "qed", "-F", "raw", "cow.qed", "moved.raw")
    # Not populated where copy-on-read is off.
    shutil.move("moved.raw", "golden.raw")
    new_image("-b", "golden.raw", "-F", "raw")
    with serve("image=vm.qed", "copy-on-read=false") as server:
        must("nbdcopy", server.url(), "back.raw")
        server.stop()
    if kept("vm.qed"):
        raise Failure("copy-on-read=false: %s" % kept("vm.qed"))


def test_name():
    """The image's name is one of QEMU's rules, in the directory where nbdkit was started."""
    new_image()
    os.rename("vm.qed", "v:m.qed")
    with serve("image=file:v:m.qed") as server:
        must("nbdinfo", server.url())
        server.stop()


def test_cache(rng):
    """NBD_CMD_CACHE has the range read and populated."""
    make_golden("golden.raw", rng)
    new_image("-b", "golden.raw", "-F", "raw")
    with serve() as server:
        client = Client(server.socket)
        error, _ = client.request(Client.CACHE, 3 * MiB, 2 * MiB)
        client.close()
        if error:
            raise Failure("error %d" % error)
        wait_until(lambda: kept("vm.qed") == [(3 * MiB, 2 * MiB, True)], "keeping what was read")
        server.stop()


def test_requests():
    """Flags, limits and errors of each request."""
    new_image()
    with serve() as server:
        client = Client(server.socket)

        def expect(error, *args):
            got = client.request(*args)
            if got[0] != error:
                raise Failure("%s: error %d instead of %d" % (args[:4], got[0], error))
            return got[1]

        pattern = bytes(range(256)) * 8
        expect(0, Client.WRITE, 1, len(pattern), Client.FUA, pattern)
        if expect(0, Client.READ, 0, 3000) != b"\0" + pattern + bytes(3000 - 2049):
            raise Failure("unaligned: other bytes")
        expect(0, Client.FLUSH)
        # Only whole clusters are zeroed faster than by a write.
        expect(ENOTSUP, Client.ZEROES, 10, 1000, Client.FAST_ZERO)
        expect(ENOTSUP, Client.ZEROES, CLUSTER // 2, CLUSTER, Client.FAST_ZERO)
        if expect(0, Client.READ, 0, 3000) != b"\0" + pattern + bytes(3000 - 2049):
            raise Failure("a zero that was refused was done")
        expect(0, Client.ZEROES, 0, CLUSTER, Client.FAST_ZERO)
        if any(expect(0, Client.READ, 0, CLUSTER)):
            raise Failure("fast zero: other bytes")
        expect(0, Client.WRITE, 0, len(pattern), 0, pattern)
        expect(0, Client.ZEROES, 5, 100, Client.NO_HOLE | Client.FUA)
        if expect(0, Client.READ, 0, 200) != pattern[:5] + bytes(100) + pattern[105:200]:
            raise Failure("zero of a part: other bytes")
        expect(0, Client.TRIM, 0, CLUSTER, Client.FUA)
        if any(expect(0, Client.READ, 0, CLUSTER)):
            raise Failure("trim: old bytes")
        expect(0, Client.TRIM, 0, 0xfffff000 & (SIZE - 1))
        expect(0, Client.WRITE, SIZE - 512, 512, 0, bytes(512))
        for command in (Client.READ, Client.ZEROES, Client.TRIM, Client.CACHE):
            error, _ = client.request(command, SIZE - 512, 1024)
            if not error:
                raise Failure("command %d beyond the end was done" % command)
        client.close()
        server.stop()
    interop.check_image("vm.qed")


def test_keeps_space():
    """Zero requests that may unmap free the space; those that may not keep it."""
    new_image()
    with serve() as server:
        client = Client(server.socket)
        client.request(Client.WRITE, 0, 2 * CLUSTER, 0, b"x" * 2 * CLUSTER)
        client.request(Client.ZEROES, 0, CLUSTER)
        client.request(Client.ZEROES, CLUSTER, CLUSTER, Client.NO_HOLE)
        client.close()
        server.stop()
    runs = [(e["start"], e["length"], e["zero"]) for e in json.loads(
        must("qemu-img", "map", "--output=json", "-f", "qed", "vm.qed").out)]
    if (CLUSTER, CLUSTER, False) not in merged(runs):
        raise Failure("map: %s" % runs[:4])


def test_many_connections(rng):
    """Concurrent writers, each with its part of the disk; all parts are right in the end."""
    new_image()
    parts, part = 12, 2 * MiB
    model = bytearray(SIZE)
    with serve() as server:
        writers = []
        for i in range(parts):
            script = []
            for _ in range(40):
                at = i * part + rng.randrange(part)
                length = min(rng.randrange(1, 100000), (i + 1) * part - at)
                byte = rng.randrange(256)
                flags = rng.choice(("", "", " -f"))
                if byte < 60:
                    byte, flags = 0, " -z" + rng.choice(("", " -u"))
                else:
                    flags += " -P %d" % byte
                script += ["-c", "write -q%s %d %d" % (flags, at, length)]
                model[at:at + length] = bytes([byte]) * length
            # pylint: disable=consider-using-with
            writers.append(subprocess.Popen(["qemu-io", "-f", "raw", *script, server.url()],
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        for writer in writers:
            out = writer.communicate()[0].decode()
            if writer.returncode or out.strip():
                raise Failure("qemu-io: %s" % out)
        must("nbdcopy", server.url(), "back.raw")
        server.stop()
    expect_file("back.raw", bytes(model))
    interop.check_image("vm.qed")


def test_fio():
    new_image()
    with serve() as server:
        must("fio", "--name=verify", "--ioengine=nbd", "--uri=" + server.url(), "--rw=randwrite",
             "--bsrange=512-128k", "--bs_unaligned=0", "--iodepth=16", "--size=16M", "--verify=crc32c",
             "--do_verify=1", "--verify_fatal=1", "--fsync=50", "--randrepeat=0")
        server.stop()
    interop.check_image("vm.qed")


def test_killed(rng):
    """Flushed data survives kill -9; the image opens again, and leaks are freed then."""
    new_image()
    with serve() as server:
        for turn in range(4):
            client = Client(server.socket)
            data = struct.pack(">Q", rng.getrandbits(64)) * (CLUSTER // 8)
            at = turn * 4 * MiB
            # By a flush and by FUA, alternately: each would hide an error of the other.
            if turn % 2:
                durable = range(20)
                for i in durable:
                    client.request(Client.WRITE, at + i * CLUSTER, CLUSTER, 0, data)
                client.request(Client.FLUSH)
            else:
                durable = range(20, 24)
                for i in durable:
                    client.request(Client.WRITE, at + i * CLUSTER, CLUSTER, Client.FUA, data)
            # Not durable: it may survive or not.
            client.request(Client.WRITE, at + 30 * CLUSTER, CLUSTER, 0, data)
            server.kill()
            result = interop.run("qemu-img", "check", "-f", "qed", "vm.qed")
            if result.status not in (0, 3):
                raise Failure("after the kill: %s" % result)
            server.start()
            client = Client(server.socket)
            for i in durable:
                if client.request(Client.READ, at + i * CLUSTER, CLUSTER) != (0, data):
                    raise Failure("turn %d: cluster %d lost" % (turn, i))
            client.close()
        # Give the search for leaks time.
        time.sleep(1)
        server.stop()
    must(QED_IMG, "check", "-f", "qed", "-r", "leaks", "vm.qed")
    interop.check_image("vm.qed")


def test_in_use():
    """No other program may write to an image that is being served."""
    new_image()
    with serve() as server:
        must("nbdinfo", "--size", server.url())
        result = interop.run("qemu-io", "-f", "qed", "-c", "write 0 1", "vm.qed")
        if "lock" not in result.out + result.err:
            raise Failure(str(result))


def tests(results):
    if not os.path.exists(PLUGIN):
        results.skip("plugin", "nbdkit's header is not installed")
        return
    if not all(map(shutil.which, ("nbdkit", "nbdinfo", "nbdcopy", "qemu-io"))):
        results.skip("plugin", "nbdkit, libnbd-bin or qemu-utils is not installed")
        return
    rng = random.Random(interop.seed_from(sys.argv))
    for name, function, *args in (
            ("what it says", test_said),
            ("manual page", test_manual),
            ("read-only", test_read_only),
            ("not writable", test_not_writable, rng),
            ("bad parameters", test_bad_parameters),
            ("requests", test_requests),
            ("space", test_keeps_space),
            ("map", test_map, rng),
            ("nbdcopy", test_copy, rng),
            ("copy-on-read", test_copy_on_read, rng),
            ("cache", test_cache, rng),
            ("name", test_name),
            ("many connections", test_many_connections, rng),
            ("killed", test_killed, rng),
            ("in use", test_in_use)):
        results.run(name, function, *args)
    if "nbd" in interop.run("fio", "--enghelp").out:
        results.run("fio", test_fio)
    else:
        results.skip("fio", "it has no engine for NBD")


interop.main(tests)
