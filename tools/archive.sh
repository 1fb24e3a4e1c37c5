#!/bin/sh
# archive.sh IN.a OUT.a DIR: one object of all that is in IN.a, in which only what is not hidden can be linked to. A program's own
# functions may have the names of ours then.
set -eu
mkdir -p "$3"
object="$3/holdfast.o"
ld -r --whole-archive "$1" -o "$object"
objcopy --localize-hidden "$object"
rm -f "$2"
ar rcD "$2" "$object"
