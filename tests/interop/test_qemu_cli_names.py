#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Images named by options, json:{...} and --image-opts, and the options of all verbs, side by side;
side_by_side.py describes the format of the lines."""

import interop
import side_by_side

NAMES = """
qemu-img create -q x 3M
qemu-img info 'json:{"driver":"qed","file":{"driver":"file","filename":"a"}}'
qemu-img info --output=json 'json:{"driver":"qed","file":{"driver":"file","filename":"a"}}'
qemu-img info 'json:{"driver":"raw","file":{"driver":"file","filename":"a"}}'
qemu-img info 'json:{"file":{"driver":"file","filename":"a"}}'
qemu-img info 'json:{"file.filename":"a"}'
qemu-img info 'json:{"filename":"a"}'
qemu-img info 'json:{"driver":"file","filename":"a"}'
qemu-img info 'json:{"driver":"qed","file":"a"}'
qemu-img info 'json:{"driver":"qed","filename":"a"}'
qemu-img info 'json:{"driver":"qed","file.filename":"a","foo":1}'
qemu-img info 'json:{"driver":"qed","file.filename":"a","file.foo":1}'
qemu-img info 'json:{"driver":"qed","file.filename":"a","backing":null}'
qemu-img info 'json:{"driver":"qed","file.filename":"a","backing":{"driver":"raw","file.filename":"base"}}'
qemu-img info 'json:{"driver":"qed","file.filename":"a","backing.driver":"raw"}'
~qemu-img info 'json:{' ~[1] Could not parse the JSON options: JSON parse error,
qemu-img info 'json:[]'
qemu-img info 'json:'
qemu-img info 'json:{"driver":"foo","file.filename":"a"}'
qemu-img info 'json:{"driver":"qed","file.filename":"nope"}'
qemu-img info 'json:{"driver":"qed","file.driver":"foo","file.filename":"nope"}'
qemu-img info 'json:{"driver":"qed","file.driver":"qed","file.filename":"nope"}'
qemu-img info 'json:{"driver":"qed"}'
qemu-img info 'json:{}'
qemu-img info -f qed 'json:{"driver":"qed","file.filename":"a"}'
qemu-img info -f raw 'json:{"driver":"qed","file.filename":"a"}'
qemu-img info -f file a
qemu-img info --image-opts driver=qed,file.filename=a
qemu-img info --image-opts driver=qed,file.filename=nope
qemu-img info --image-opts driver=qed,file.driver=file,file.filename=a,file.locking=off
qemu-img info --image-opts -f qed driver=qed,file.filename=a
qemu-img info --image-opts a
qemu-img info --image-opts file.filename=a
qemu-img info --image-opts driver
qemu-img info --image-opts driver=qed,driver=raw,file.filename=a
qemu-img info --image-opts driver=qed,file.filename=a,backing=
~qemu-img info --image-opts driver=raw,offset=512,size=1024,file.filename=a ~ image: a
~qemu-img info --image-opts driver=null-co,size=5M ~ image: null-co://5242880
qemu-img info null-co://
qemu-img info --image-opts driver=qed,file.filename=a,read-only=off
qemu-img info --image-opts driver=qed,file.filename=a,read-only=x
qemu-img info --image-opts driver=qed,file.filename=a,cache.direct=on
qemu-img info --image-opts driver=qed,file.filename=a,node-name=foo
qemu-img info --image-opts driver=qed,file.filename=a,node-name=
qemu-img info --image-opts driver=raw,file.node-name=,file.filename=base
qemu-img info --image-opts driver=qed,file=foo
qemu-img info --image-opts driver=qed,file.filename=a,foo
qemu-img info --image-opts driver=qed,file.filename=a,nofoo
qemu-img info --image-opts driver=qed,,,file.filename=a
qemu-img info --image-opts driver=qed,file.filename=a,
qemu-img info --image-opts ""
qemu-img info --image-opts =x
qemu-img info --image-opts file.filename=a,,b
qemu-img info --image-opts driver=raw,file.filename=a,file.driver=file,foo=1
qemu-img info --image-opts driver=file,filename=a,foo=1
qemu-img info --image-opts driver=file
qemu-img info --image-opts driver=nbd
qemu-img info --image-opts driver=nbd,export=x
qemu-img info --image-opts driver=nbd,server.type=foo
qemu-img info --image-opts driver=nbd,server.type=inet,server.host=localhost
qemu-img info --image-opts driver=nbd,host=localhost,path=/x
qemu-img info --image-opts driver=nbd,port=1
qemu-img info --image-opts driver=raw,offset=10M,file.filename=a
qemu-img info --image-opts driver=raw,size=10M,file.filename=a
qemu-img info --image-opts driver=raw,size=1x,file.filename=a
qemu-img info --image-opts driver=raw,size=1000,file.filename=a
qemu-img info --image-opts driver=file,filename=a,locking=x
qemu-img info --image-opts driver=file,filename=a,aio=x
qemu-img info --image-opts driver=file,filename=a,aio=native
qemu-img info --image-opts driver=qed,file.filename=a,discard=x
qemu-img info --image-opts driver=qed,file.filename=a,detect-zeroes=x
qemu-img info --image-opts driver=qed,file.filename=a,detect-zeroes=unmap
qemu-img info --image-opts driver=qed,file.filename=a,node-name=1x
qemu-img info --image-opts driver=qed,file.filename=a,force-share=on,read-only=off
qemu-img info --image-opts driver=qed,file.filename=a,lazy-refcounts=on
qemu-img map --image-opts driver=qed,file.filename=a,backing.driver=qed
qemu-img map --image-opts driver=qed,file.filename=a,backing.driver=raw
qemu-img map --image-opts driver=qed,file.filename=a,backing=x
qemu-img map 'json:{"driver":"qed","file.filename":"a","backing":null}'
qemu-img create -f qed -b 'json:{"driver":"raw","file.filename":"base"}' -F raw j
qemu-img info j
qemu-img info --backing-chain --output=json j
qemu-img info --backing-chain j
qemu-img map j
qemu-img create -f qed 'json:{"driver":"raw","file.filename":"zz"}' 1M
qemu-img resize --image-opts driver=raw,file.filename=base,read-only=on 2M
qemu-img resize 'json:{"driver":"raw","file.filename":"base"}' 2M
qemu-img resize --image-opts driver=raw,offset=512,size=100k,file.filename=base 3M
qemu-img resize --image-opts driver=raw,offset=512,file.filename=base 4M
qemu-io -f raw -c 'write -P 6 3M 1M' base
qemu-img resize --preallocation=full --image-opts driver=raw,offset=1M,file.filename=base 4M
qemu-io -r -f raw -c 'read -P 6 3M 1M' base
qemu-img resize --preallocation=falloc --image-opts driver=raw,offset=1M,file.filename=base 5M
qemu-io -r -f raw -c length -c 'read -P 6 3M 1M' -c 'read -P 0 4M 2M' base
qemu-img resize --image-opts driver=qed,file.filename=base 4M
qemu-img info base
qemu-img info --image-opts driver=qed,file.filename=a,cache.direct=x
qemu-img info --image-opts driver=qed,file.filename=a,cache.foo=on
qemu-img info --image-opts driver=nbd,host=localhost,port=1,tls-creds=foo
qemu-img bench --image-opts driver=qed,file.filename=a -c 3
qemu-img bench --image-opts -f qed driver=qed,file.filename=a -c 3
qemu-img compare --image-opts driver=qed,file.filename=a driver=qed,file.filename=a
qemu-img compare --image-opts -f qed driver=qed,file.filename=a driver=qed,file.filename=a
qemu-img compare --image-opts driver=qed,file.filename=a a
qemu-img check --image-opts driver=qed,file.filename=a
qemu-img measure --image-opts driver=qed,file.filename=a
qemu-img measure --image-opts --size 10
qemu-img convert --image-opts driver=qed,file.filename=a x
qemu-img convert --image-opts -f qed driver=qed,file.filename=a x
qemu-img convert --image-opts driver=qed,file.filename=a driver=raw,file.filename=base x
qemu-img convert --target-image-opts a x
qemu-img convert --target-image-opts -n a driver=raw,file.filename=x
qemu-img convert --target-image-opts -n -O raw a driver=raw,file.filename=x
qemu-img convert --target-image-opts -n a driver=raw,file.filename=x,read-only=on
qemu-img convert -n -O foo a x
qemu-img convert -n -B base -O raw a x
qemu-img convert -n -B base -F raw -O raw a x
qemu-img convert -n -F raw -O raw a x
qemu-img convert 'json:{"driver":"qed","file.filename":"a"}' x
qemu-img convert -O raw a 'json:{"driver":"raw","file.filename":"x"}'
qemu-img convert -n -O raw a 'json:{"driver":"raw","file.filename":"x"}'
qemu-img info 'json: {"driver": "qed", "file": {"filename": "a"}}'
qemu-img info 'json:{"driver":"qed","read-only":true,"file":{"driver":"file","filename":"a","locking":"off"}}'
qemu-img info 'json:{"driver":"qed","read-only":1,"file.filename":"a"}'
qemu-img create -q -f qed -u -b 'json:{"driver":"qed","file.filename":"a"}' -F qed over 2M
qemu-img compare over a
qemu-img map --output=json over
qemu-img create -q -f qed -u -b 'json:{"driver":"foo","file.filename":"a"}' -F qed bad 2M
qemu-img compare bad a
qemu-img map --image-opts driver=qed,file.filename=top,backing.backing.driver=raw,backing.backing.file.filename=small
qemu-img compare --image-opts driver=qed,file.filename=top,backing.backing.file.filename=small driver=qed,file.filename=top
qemu-io --image-opts -c "write -P 9 0 4k" -c "write -z 64k 64k" -c "read -P 1 4k 60k" driver=qed,file.filename=new,backing.driver=raw,backing.file.filename=base
qemu-io --image-opts -c "read -P 9 0 4k" -c "read -P 1 4k 60k" -c "read -P 0 64k 64k" driver=qed,file.filename=new,backing.driver=raw,backing.file.filename=base
qemu-img convert --image-opts -O raw driver=raw,offset=64k,size=128k,file.filename=base part
qemu-img info part
qemu-img compare --image-opts driver=raw,file.filename=part driver=raw,offset=64k,size=128k,file.filename=base
qemu-img convert --target-image-opts -n part driver=raw,offset=256k,file.filename=base
qemu-img compare -f raw -F raw base small
qemu-img convert -O raw over flat
qemu-io -f qed -c "write -P 9 0 64k" over
qemu-img commit --image-opts -f qed driver=qed,file.filename=over
qemu-img commit --image-opts driver=qed,file.filename=over
qemu-img compare over a
qemu-img commit --image-opts driver=qed,file.filename=nope
qemu-img rebase --image-opts -f qed -b small -F raw driver=qed,file.filename=top
qemu-img rebase --image-opts -b small -F raw driver=qed,file.filename=top
qemu-img info top
qemu-io -f qed -c map top
qemu-img rebase --object secret,id=s,data=x -u -b base -F raw top
qemu-img commit --object secret,id=s,data=x -d a
qemu-img commit --object secret,id=s a
"""

GLOBAL = """
qemu-img info --object secret,id=s,file=/nope base
qemu-img info --object secret,id=s,data=x,file=base base
qemu-img info --object secret,id=s,data=x,foo=1 base
qemu-img info --object secret,id=s,data=x,format=foo base
qemu-img info --object secret,id=s,data=x,format=base64 base
qemu-img info --object secret,id=s,data=x --object secret,id=s,data=x base
qemu-img info --object secret,id=1,data=x base
qemu-img info --object secret,id=s,data=x,nofoo base
qemu-img info --object secret,id=s base
qemu-img info --object tls-creds-x509,id=t,dir=/nope,endpoint=client base
qemu-img info --object tls-creds-x509,id=t,endpoint=client base
qemu-img info --object tls-creds-x509,id=t,endpoint=foo base
qemu-img info --object tls-creds-psk,id=t,dir=/nope,endpoint=client base
qemu-img info --object tls-creds-anon,id=t,endpoint=client base
qemu-img info --object '{"qom-type":"secret","id":"s","data":"x"}' base
qemu-img info --object qom-type=secret,id=x,data=1 base
qemu-img info --object id=x base
qemu-img info --object foo base
qemu-img info --object
qemu-img compare --object foo base base
qemu-img info --object secret,id=foo,data=x --image-opts driver=nbd,host=localhost,port=1,tls-creds=foo
qemu-img -T 'foo*' info base
qemu-img -T enable=foo info base
qemu-img -T foo=bar info base
qemu-img -T foo info base
qemu-img --trace
qemu-img info -T foo base
qemu-img info --trace foo base
"""


def main(results):
    if not side_by_side.need_reference(results, "qemu-cli"):
        return
    side_by_side.make_template()
    side_by_side.run_list(results, "qemu-cli-names", NAMES, images=("x", "part", "base", "flat"))
    side_by_side.run_list(results, "qemu-cli-global", GLOBAL)


interop.main(main)
