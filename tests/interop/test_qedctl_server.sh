#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qedctl's reaction to a server's answers, good and bad, and to a dead server. A script plays the
# server: no block device is needed.
set -u
. "$(dirname "$0")/lib.sh"
qedctl=${QEDBLK_BUILD:-build}/qedctl
[ "$(id -u)" -eq 0 ] || { echo "skip qedctl and its server: this is not root"; exit 0; }
qedctl_full=$(realpath "$qedctl") || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/qedctl.XXXXXX") || exit 1
server=
clean_up() {
	kill $(jobs -p) 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
export QEDBLK_RUN_DIR=$dir/run
mkdir "$QEDBLK_RUN_DIR"

# Long, so that its socket's path is longer than a socket address allows.
name=qedctl-test-$$-$(printf 'x%.0s' {1..90})

cat >"$dir/actor" <<'END'
import fcntl, glob, json, os, signal, socket, sys, time

run_dir, name, manner = sys.argv[1:4]
os.chdir(run_dir)
status = {"name": name, "state": "live", "image": "/images/vm1.qed", "format": "qed",
          "device": "/dev/ublkb77", "dev-id": 77, "size": 1 << 30, "cluster-size": 65536,
          "read-only": False, "copy-on-read": True, "cache": "none", "direct": True, "queues": 2,
          "depth": 64, "pid": os.getpid(), "uptime": 12,
          "backing-chain": [{"filename": "/images/golden.img", "format": "raw", "probed": False}],
          "clusters": {"total": 16384, "data": None, "zero": None}}
stats = {"read_ops": 3, "read_bytes": 12288, "backing_read_bytes": 65536, "zero_clusters": 5,
         "in-flight": 1, "of_a_later_version": 7}
returns = {"status": status, "stats": stats, "quit": {}, "flush": {}, "stream": {"state": "running"},
           "info": dict(status, **{"features": ["USER_RECOVERY"], "limits": {"io-opt": 65536},
                                   "image-info": {"virtual-size": 1 << 30, "dirty": False}})}

if manner == "odd":
    status["image"] = "/images/\u00e4\n\x1b[2J\u009b.qed"
    returns["status"] = status

def write_hint():
    with open("hint", "w") as file:
        json.dump({"name": name, "image": status["image"], "dev-id": 77, "device": "/dev/ublkb77",
                   "pid": os.getpid() if manner != "dead" else 4000000, "options": []}, file)
    os.rename("hint", name + ".json")

# Hold the name, as a server does. Some actors hold it long before they listen, or after they stop.
if manner in ("starting", "leaving", "locked", "until-free"):
    lock = open(name + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write("%d\n" % os.getpid())
    lock.flush()
if manner in ("starting", "leaving"):
    write_hint()
    time.sleep(1.5)
if manner == "leaving":
    os.unlink(name + ".json")
    os.unlink(name + ".lock")
    sys.exit(0)
if manner != "dead":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("short")
    listener.listen(0 if manner == "deaf" else 5)
    callers = []
    while manner == "deaf":
        callers.append(socket.socket(socket.AF_UNIX))
        callers[-1].setblocking(False)
        try:
            callers[-1].connect("short")
        except BlockingIOError:
            break
    os.rename("short", name + ".sock")
write_hint()
if manner == "dead":
    sys.exit(0)
while manner == "deaf":
    signal.pause()

if len(sys.argv) > 4:
    os.write(int(sys.argv[4]), b"ready /dev/null\n")
ended = False
while not ended:
    connection, _ = listener.accept()
    request = json.loads(connection.makefile().readline())
    command = request["execute"]
    with open("../said", "a") as said:
        if command in ("stream", "quit"):
            said.write(json.dumps(request.get("arguments")) + "\n")
    if command not in returns:
        answer = {"error": {"class": "CommandNotFound", "desc": "no command " + command}}
    elif command == "quit" and request["arguments"]["pid"] != os.getpid():
        answer = {"error": {"class": "GenericError", "desc": "this is another server"}}
    elif manner == "until-free" and command == "quit" and not os.path.exists("free"):
        answer = {"error": {"class": "DeviceBusy", "desc": "device is in use"}}
    elif manner in ("busy", "locked") and command == "quit" and not request["arguments"]["force"]:
        answer = {"error": {"class": "DeviceBusy", "desc": "device is in use"}}
    elif manner == "together" and command == "quit":
        # Answered when the other server is asked as well.
        open("../asked-" + name, "w").close()
        end = time.monotonic() + 20
        while len(glob.glob("../asked-*")) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        answer = {"return": {}}
        if len(glob.glob("../asked-*")) < 2:
            answer = {"error": {"class": "DeviceBusy", "desc": "the other one is not asked"}}
        ended = "return" in answer
    elif manner == "nonsense" and command == "stats":
        connection.sendall(b"]]]\n")
        continue
    elif manner == "leaves" and command == "stats":
        connection.close()
        continue
    elif manner == "mute" and command == "stream":
        if request["arguments"].get("wait"):
            connection.sendall(b'{"event": "STREAM_PROGRESS", "data": {"percent": 1}}\n')
        callers.append(connection)
        continue
    elif manner == "dies" and command == "quit":
        os._exit(1)
    elif manner == "just-ended" and command == "quit":
        os.unlink(name + ".sock")
        os.unlink(name + ".json")
        os._exit(0)
    else:
        answer = {"return": returns[command]}
        ended = command == "quit"
    text = json.dumps(answer).encode() + b"\n"
    # In chunks: a line may need more than one read.
    for i in range(0, len(text), 100):
        connection.sendall(text[i:i + 100])
    if ended:
        os.unlink(name + ".sock")
        os.unlink(name + ".json")
        if os.path.exists(name + ".lock"):
            os.unlink(name + ".lock")
END

start() {
	python3 "$dir/actor" "$QEDBLK_RUN_DIR" "$name" "$1" &
	server=$!
	wait_until 5 test -e "$QEDBLK_RUN_DIR/$name.json" && return 0
	echo "not ok the play-actor starts: it did not"
	exit 1
}

stop() {
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=
	rm -f "$QEDBLK_RUN_DIR"/* "$dir/said"
}

# has NAME REGEX ARGS...: succeeds, and prints a line that matches REGEX (empty: anything).
has() {
	local title=$1 regex=$2
	shift 2
	if ! "$qedctl" "$@" >"$dir/out" 2>&1; then
		not_ok "$title" "$(cat "$dir/out")"
	elif [ -n "$regex" ] && ! grep -qE -- "$regex" "$dir/out"; then
		not_ok "$title" "no '$regex' in: $(cat "$dir/out")"
	else
		echo "ok $title"
	fi
}

# json NAME PYTHON-EXPRESSION-OF-d ARGS...
json() {
	local title=$1 expression=$2
	shift 2
	if "$qedctl" "$@" >"$dir/out" 2>"$dir/err" && python3 -c "
import json, sys
d = json.load(sys.stdin)
sys.exit(0 if ($expression) else 1)" <"$dir/out"; then
		echo "ok $title"
	else
		not_ok "$title" "$(cat "$dir/err" "$dir/out")"
	fi
}

# bad NAME LINE ARGS...: exit status $wanted, and LINE is all of standard error.
wanted=1
bad() {
	local title=$1 line=$2
	shift 2
	"$qedctl" "$@" >"$dir/out" 2>&1
	status=$?
	if [ $status -eq $wanted ] && [ "$(cat "$dir/out")" = "$line" ]; then
		echo "ok $title"
	else
		not_ok "$title" "status $status, it said '$(cat "$dir/out")', wanted '$line'"
	fi
}

start live
has "ls" "^$name  +/dev/ublkb77  +1 GiB +/images/vm1.qed +live\$" ls
json "ls as JSON" "[x for x in d if x['name'] == '$name'] == [{'name': '$name', 'device': \
'/dev/ublkb77', 'size': 1 << 30, 'image': '/images/vm1.qed', 'image-file': None, \
'state': 'live'}]" ls --json
has "status" "^size +1 GiB \(1073741824 bytes\)\$" status "$name"
has "status names the backing file" "^backing-chain\[0\]\.filename +/images/golden.img\$" \
	status "$name"
json "status as JSON" "d['device'] == d['ublk-device'] == '/dev/ublkb77' and \
d['mapping'] is None and d['clusters']['data'] is None and d['queues'] == 2" status --json "$name"
json "info as JSON" "d['features'] == ['USER_RECOVERY'] and \
d['image-info']['virtual-size'] == 1 << 30" info --json "$name"
has "info" "^features +USER_RECOVERY\$" info "$name"
has "stats" "^backing_read_bytes +65536 +bytes read from the backing file\$" stats "$name"
has "stats that we do not know" "^of_a_later_version +7 *\$" stats "$name"
json "stats as JSON" "d['in-flight'] == 1 and d['read_bytes'] == 12288" stats --json "$name"
has "stats for a collector" "^qedblk_read_bytes_total\{name=\"$name\"\} 12288\$" \
	stats --prometheus "$name"
has "what they are" "^# TYPE qedblk_read_bytes_total counter\$" stats --prometheus "$name"
has "what goes up and down" "^# TYPE qedblk_in_flight gauge\$" stats --prometheus "$name"
bad "no table without a mapping" "qedctl: table $name: it has no device mapping" table "$name"
bad "no suspend without a mapping" "qedctl: suspend $name: it has no device mapping" suspend "$name"
touch "$dir/new"
wanted=4 bad "the name is taken" "qedctl: create $name: device exists" create "$name" "$dir/new"
has "remove" "" remove "$name"
if kill -0 "$server" 2>/dev/null; then
	not_ok "remove waits for the server's end" "it still runs"
else
	echo "ok remove waits for the server's end"
fi
wanted=3 bad "afterwards it is gone" "qedctl: status $name: no such device" status "$name"
stop

start odd
has "ls shows what a terminal would obey" \
	"^$name  /dev/ublkb77  1 GiB  /images/ä\\\\x0a\\\\x1b\\[2J\\\\xc2\\\\x9b\\.qed  live\$" ls
has "its columns are aligned" "^NAME .* IMAGE {29}STATE\$" ls
json "ls as JSON has it as it is" "[x['image'] for x in d] == ['/images/ä\\n\\x1b[2J\\x9b.qed']" ls --json
has "so does status" '^image +/images/ä\\x0a\\x1b' status "$name"
stop

start busy
wanted=4 bad "remove of a busy device" "qedctl: remove $name: device is in use" remove "$name"
has "it goes on" "^state +live\$" status "$name"
has "remove by force" "" remove --force "$name"
stop

start dies
bad "remove of one that dies meanwhile" \
	"qedctl: remove $name: the server died before it had made everything durable" remove "$name"
if [ -z "$(ls -A "$QEDBLK_RUN_DIR")" ]; then
	echo "ok what it left is cleared away"
else
	not_ok "what it left is cleared away" "$(ls "$QEDBLK_RUN_DIR")"
fi
stop
start just-ended
has "remove of one that somebody else ends" "" remove "$name"
stop

start nonsense
bad "an answer that is none" \
	"qedctl: stats $name: the server's answer to 'stats' makes no sense" stats "$name"
stop
start leaves
bad "no answer" \
	"qedctl: stats $name: the server did not answer 'stats': Connection reset by peer" stats "$name"
stop

start mute
"$qedctl" stream "$name" >"$dir/silent" 2>&1 &
silent=$!
rm -f "$dir/out"
env --default-signal=INT "$qedctl" stream -p "$name" >"$dir/out" 2>"$dir/err" &
pid=$!
wait_until 5 test -s "$dir/out"
kill -INT $pid
wait $pid
if [ $? -eq 1 ] && [ "$(cat "$dir/err")" = "qedctl: stream $name: interrupted: the stream goes on; \
\`qedctl stream $name --cancel\` ends it" ]; then
	echo "ok a stream goes on when the wait is interrupted"
else
	not_ok "a stream goes on when the wait is interrupted" "$(cat "$dir/out" "$dir/err")"
fi
wait_until 15 test -s "$dir/silent"
if [ "$(cat "$dir/silent")" = \
	"qedctl: stream $name: the server did not answer 'stream': Connection timed out" ]; then
	echo "ok a server that never answers is not waited for"
else
	not_ok "a server that never answers is not waited for" "$(cat "$dir/silent")"
	kill $silent
fi
wait $silent
stop

start deaf
within 60 "$qedctl" ls >"$dir/out" 2>&1
if [ $? -eq 0 ] && grep -q "^$name .* dead\$" "$dir/out"; then
	echo "ok a server that does not accept any more"
else
	not_ok "a server that does not accept any more" "$(cat "$dir/out")"
fi
stop

start dead
wait "$server"
has "ls of a dead one" "^$name  +/dev/ublkb77  +0 B +/images/vm1.qed +dead\$" ls
bad "stats of a dead one" "qedctl: stats $name: its server does not run any more" stats "$name"
json "status of a dead one" "d['state'] == 'dead' and d['image'] == '/images/vm1.qed'" \
	status --json "$name"
wanted=4 bad "create over a dead one" \
	"qedctl: create $name: device exists, but its server died: recover or remove it first" \
	create "$name" "$dir/new"
exec 8>"$QEDBLK_RUN_DIR/$name.lock"
flock 8
wanted=4 bad "remove of one that lives but is silent" \
	"qedctl: remove $name: its server lives, but does not answer" remove "$name"
exec 8>&-

# The process number now belongs to another device's server.
cp "$(command -v sleep)" "$dir/qedd"
"$dir/qedd" 1000 &
disown
other=$!
until [ "$(cat /proc/$other/comm)" = qedd ]; do sleep 0.05; done
sed -i "s/\"pid\": [0-9]*/\"pid\": $other/" "$QEDBLK_RUN_DIR/$name.json"
cp -a "$QEDBLK_RUN_DIR/$name".* "$dir"
has "remove by force of a dead one" "" remove --force "$name"
if kill -0 $other 2>/dev/null; then
	echo "ok it kills nobody else's server"
else
	not_ok "it kills nobody else's server" "it did"
fi
cp -a "$dir/$name".* "$QEDBLK_RUN_DIR"
echo "$other" >"$QEDBLK_RUN_DIR/$name.lock"
flock "$QEDBLK_RUN_DIR/$name.lock" sh -c "while kill -0 $other 2>/dev/null; do sleep 0.1; done" &
holder=$!
while flock -n "$QEDBLK_RUN_DIR/$name.lock" true; do sleep 0.05; done
"$qedctl" remove --force "$name" >"$dir/out" 2>&1
if kill -0 $other 2>/dev/null; then
	not_ok "remove by force of one that is silent" "it was not killed: $(cat "$dir/out")"
	kill $other
else
	echo "ok remove by force of one that is silent"
fi
wait $holder $other 2>/dev/null
cp -a "$dir/$name".* "$QEDBLK_RUN_DIR"
"$qedctl" remove "$name" >"$dir/out" 2>&1
if [ $? -eq 0 ] && [ -z "$(ls -A "$QEDBLK_RUN_DIR")" ]; then
	echo "ok remove clears away what a dead server left"
else
	not_ok "remove clears away what a dead server left" "$(cat "$dir/out"; ls "$QEDBLK_RUN_DIR")"
fi

# ---- Servers that are starting, or leaving: they hold the name, and do not answer ----
start starting
has "remove waits for one that is starting" "" remove "$name"
stop
start starting
wanted=4 bad "create beside one that is starting" "qedctl: create $name: device exists" \
	create "$name" "$dir/new"
stop
start starting
has "recover of all leaves one that is starting alone" "" recover --all
stop
start starting
wanted=4 bad "recover of one that is starting" "qedctl: recover $name: its server runs" recover "$name"
stop
start leaving
has "remove of all waits for one that is leaving" "" remove --all
stop
start leaving
wanted=3 bad "recover of one that is leaving" "qedctl: recover $name: no such device" recover "$name"
stop

# ---- `remove --deferred` that was left waiting does not end another device of that name ----
start locked
has "remove of a busy device, deferred" "" remove --deferred "$name"
waiter=$(pgrep -f -x -- "$qedctl remove --deferred $name")
kill -STOP "$waiter" || not_ok "somebody waits for its last close" "no process does"
stop
start late
kill -CONT "$waiter"
if wait_until 5 eval '! kill -0 "$waiter"'; then
	echo "ok the process that waited does so no longer"
else
	not_ok "the process that waited does so no longer" "it does"
	kill "$waiter"
fi
if kill -0 "$server" && [ ! -s "$dir/said" ]; then
	echo "ok another device of that name goes on"
else
	not_ok "another device of that name goes on" "it was asked to end"
fi
stop

# ---- The base that is sent to the server ----
start live
touch "$dir/here.img"
here=$(cd "$dir" && pwd -P)
if (cd "$dir" && "$qedctl_full" stream "$name" --base here.img &&
	"$qedctl_full" stream "$name" --base beside-the-image.img &&
	"$qedctl_full" stream "$name" --base "json:{}") >"$dir/out" 2>&1 &&
	[ "$(cat "$dir/said")" = "{\"base\": \"$here/here.img\"}
{\"base\": \"beside-the-image.img\"}
{\"base\": \"json:{}\"}" ]; then
	echo "ok a base is told as the caller sees it"
else
	not_ok "a base is told as the caller sees it" "$(cat "$dir/out" "$dir/said")"
fi
rm -f "$dir/said"
base=$'\xff.img'
bad "a base that cannot be told" "qedctl: stream $name: --base $base: the name is not UTF-8" \
	stream "$name" --base "$base"
bad "a trace that cannot be told" "qedctl: trace $name: $PWD/$base: the name is not UTF-8" \
	trace "$name" start "$base"
if [ ! -e "$dir/said" ]; then
	echo "ok nothing is streamed without it"
else
	not_ok "nothing is streamed without it" "$(cat "$dir/said")"
fi
stop

# After a failed create, an image is deleted only if the server says that it has made it.
mkdir "$dir/stand-in" && cp "$qedctl" "$dir/stand-in/qedctl" || exit 1
stand_in() {
	printf '#!/bin/sh\nwhile [ "$1" != --ready-fd ]; do shift; done\n%s\n' "$1" \
		>"$dir/stand-in/qedd"
	chmod +x "$dir/stand-in/qedd"
}
qedctl=$dir/stand-in/qedctl
image=$dir/made.qed
create=(create "$name" "$image" --size 1M)
stand_in "echo >$image; eval \"echo ready /dev/null created >&\$2\"; exec sleep 1000"
bad "creation with a device that is none" \
	"qedctl: create $name: /dev/null: Inappropriate ioctl for device" "${create[@]}"
if [ -e "$image" ]; then
	not_ok "the server's new image is taken back" "it is there"
else
	echo "ok the server's new image is taken back"
fi
stand_in "echo >$image; eval \"echo ready /dev/null >&\$2\"; exec sleep 1000"
bad "the same with an image that another made" \
	"qedctl: create $name: /dev/null: Inappropriate ioctl for device" "${create[@]}"
if [ -e "$image" ]; then
	echo "ok another's image stays"
else
	not_ok "another's image stays" "it is gone"
fi
rm -f "$image"
stand_in "echo >$image; kill -KILL \$\$"
bad "a server that dies over its image" \
	"qedctl: create $name: $image may be half made, and is left: the server died before it was \
ready: Killed" "${create[@]}"
rm -f "$image"

# ---- In the foreground, without a mapping, in use ----
stand_in "eval \"exec python3 $dir/actor $QEDBLK_RUN_DIR $name until-free \$2\""
rm -f "$dir/out"
env --default-signal=TERM "$qedctl" create "$name" /dev/null --no-dm --foreground \
	>"$dir/out" 2>"$dir/err" &
pid=$!
wait_until 5 test -s "$dir/out"
kill -TERM $pid
wait_until 5 test -s "$dir/err"
if kill -0 $pid 2>/dev/null && [ "$(cat "$dir/err")" = \
	"qedctl: create $name: device is in use: it ends at its last close" ]; then
	echo "ok one in use, without a mapping, in the foreground, goes on"
else
	not_ok "one in use, without a mapping, in the foreground, goes on" "$(cat "$dir/out" "$dir/err")"
fi
touch "$QEDBLK_RUN_DIR/free"
wait $pid
status=$?
if [ $status -eq 0 ] && [ ! -e "$QEDBLK_RUN_DIR/$name.sock" ]; then
	echo "ok and ends at its last close"
else
	not_ok "and ends at its last close" "status $status: $(cat "$dir/err")"
fi

# ---- Several devices at once ----
unlink_all() {
	rm -f "$QEDBLK_RUN_DIR"/*
}
unlink_all
one_name=$name
for name in first second; do
	start together
done
"$qedctl" stats --prometheus --all >"$dir/out" 2>"$dir/err"
python3 - "$dir/out" <<'END' && [ ! -s "$dir/err" ] && echo "ok stats of all in one exposition" ||
import sys
described, current = [], None
values = {}
for line in open(sys.argv[1]):
    words = line.split()
    if line.startswith("# HELP "):
        described.append(words[2])
    elif line.startswith("# TYPE "):
        current = words[2]
    else:
        metric, label = words[0].rstrip("}").split("{")
        assert metric == current, line
        values.setdefault(metric, []).append(label)
assert len(described) == len(set(described)) == len(values) == 6, described
assert all(v == ['name="first"', 'name="second"'] for v in values.values()), values
END
	not_ok "stats of all in one exposition" "$(cat "$dir/out" "$dir/err")"
"$qedctl" stats --all --json >"$dir/out" 2>"$dir/err"
python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["second"]["read_ops"] == 3' \
	<"$dir/out" 2>>"$dir/err" && echo "ok stats of all as JSON" ||
	not_ok "stats of all as JSON" "$(cat "$dir/out" "$dir/err")"
"$qedctl" stats --all first >"$dir/out" 2>&1
status=$?
[ "$status $(cat "$dir/out")" = "2 qedctl: stats: --all takes no NAME" ] &&
	echo "ok stats --all with a name" || not_ok "stats --all with a name" "$status $(cat "$dir/out")"
"$qedctl" remove --all >"$dir/out" 2>&1
status=$?
[ "$status $(cat "$dir/out")" = "0 " ] && echo "ok remove --all asks all at once" ||
	not_ok "remove --all asks all at once" "status $status: $(cat "$dir/out")"
rm -f "$dir"/asked-*
unlink_all
name=first
start nonsense
name=second
start live
"$qedctl" stats --prometheus --all >"$dir/out" 2>"$dir/err"
status=$?
[ $status -eq 0 ] && grep -q '^qedblk_read_bytes_total{name="second"} 12288$' "$dir/out" &&
	[ "$(cat "$dir/err")" = \
		"qedctl: warning: first: the server's answer to 'stats' makes no sense" ] &&
	echo "ok stats of all but one that fails" ||
	not_ok "stats of all but one that fails" "status $status: $(cat "$dir/err" "$dir/out")"
"$qedctl" remove --force first second
for name in first second; do
	start busy
done
"$qedctl" remove --all >"$dir/out" 2>&1
status=$?
[ "$status $(sort "$dir/out")" = "4 qedctl: remove first: device is in use
qedctl: remove second: device is in use" ] && echo "ok two that are busy: a line each" ||
	not_ok "two that are busy: a line each" "status $status: $(cat "$dir/out")"
"$qedctl" remove --force second first >"$dir/out" 2>&1 && [ -z "$(ls "$QEDBLK_RUN_DIR")" ] &&
	echo "ok remove --force of both" || not_ok "remove --force of both" "$(cat "$dir/out")"
name=$one_name

# ---- A successor, when the directory is gone in which the dead server was started ----
# The server that this qedctl finds beside itself has no block device.
mkdir "$dir/bin" "$dir/gone" "$dir/images"
cp "$qedctl_full" "$dir/bin/qedctl" &&
	cp "${qedctl_full%/*}/tests/interop/nodev_qedd" "$dir/bin/qedd" || exit 1
qedctl=$dir/bin/qedctl
export NODEV_WAITING=

# end_vm1 SIGNAL: ends the server, and waits until it is gone.
end_vm1() {
	local pid
	pid=$(cat "$QEDBLK_RUN_DIR/vm1.lock") && kill "-$1" "$pid"
	wait_until 20 test ! -e "/proc/$pid" || not_ok "the server ends" "process $pid is there"
}

# dies_in FOLDER IMAGE
dies_in() {
	(unset NODEV_WAITING && cd "$dir/$1" && ../bin/qedd --name vm1 --image "$2" --size 1M) \
		>"$dir/out" 2>&1 || not_ok "a server in $1" "$(cat "$dir/out")"
	end_vm1 KILL
}

dies_in gone "$dir/images/vm1.qed"
rmdir "$dir/gone"
has "recover where the server's directory is gone" "" recover vm1
end_vm1 TERM
# Never another file of the same name.
dies_in images vm1.qed
mv "$dir/images" "$dir/moved"
wanted=3 bad "recover where the image went with it" \
	"qedctl: recover vm1: $dir/images/vm1.qed: No such file or directory" recover vm1
mv "$dir/moved" "$dir/images"
has "recover where they are back" "" recover vm1
end_vm1 TERM
# A relative name of the servers' directory means qedctl's directory, not the dead server's.
dies_in images vm1.qed
cd "$dir" || exit 1
QEDBLK_RUN_DIR=run has "recover with a relative QEDBLK_RUN_DIR" "" recover vm1
cd - >/dev/null || exit 1
end_vm1 TERM
finish
