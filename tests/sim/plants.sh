#!/usr/bin/env bash
# Does the simulation find bugs? Plants each patch of tests/sim/plants/ in a copy of the sources, one at a time, and looks
# for the first seed that breaks. Fails when one is not found, or a patch no longer fits.
#
#   tests/sim/plants.sh [SEEDS [PATCH …]]     at most SEEDS seeds for each (4000)
set -euo pipefail
cd "$(dirname "$0")/../.."

seeds=${1:-4000}
shift || true
[ $# -gt 0 ] || set -- tests/sim/plants/*.patch

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$work" 2>/dev/null || true
cp -r src tests meson.build "$work"
meson setup "$work/build" "$work" -Dbuildtype=debugoptimized >"$work/log" || { cat "$work/log"; exit 1; }
ninja -C "$work/build" --quiet tests/sim/sim

missed=0
for patch in "$@"; do
	name=$(basename "$patch" .patch)
	if ! patch -s -b -z .planted -p1 -d "$work" <"$patch" >"$work/log" 2>&1; then
		printf '%-32s does not fit any more\n' "$name"
		cat "$work/log"
		exit 1
	fi
	ninja -C "$work/build" --quiet tests/sim/sim
	if "$work/build/tests/sim/sim" --find --seeds "$seeds" >"$work/found"; then
		printf '%-32s NOT FOUND in %s seeds\n' "$name" "$seeds"
		missed=1
	else
		seed=$(head -1 "$work/found")
		why=$(grep -a -o 'broke "[^"]*"\|Assertion.*failed\|SUMMARY.*' "$work/found" | head -1 || true)
		printf '%-32s seed %-6s %s\n' "$name" "$seed" "${why:-ended by a signal}"
	fi
	# what it was before: a patch that is taken back by its context might find another place
	find "$work/src" -name '*.planted' | while read -r kept; do
		cp "$kept" "${kept%.planted}"
		rm "$kept"
	done
done
exit $missed
