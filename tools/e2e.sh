#!/bin/sh
# Runs one file of the end-to-end tests, and prints what it said when it has ended: several run at a time.
said=$(timeout 1200 node --test-reporter=spec "$1" </dev/null 2>&1)
status=$?
printf '\n%s\n%s\n' "$1" "$said"
[ "$status" != 124 ] || echo "$1: not ended within 20 minutes"
exit "$status"
