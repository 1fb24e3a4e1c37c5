#!/bin/bash
# A real S3 server for tests: Ceph's radosgw, with one monitor and one OSD that keeps everything in memory, on 127.0.0.1.
#
# usage: radosgw.sh DIR MON_PORT HTTP_PORT TLS_PORT      (the OSD takes ports from 6800 on)
#
# Prints "ready PID" (of radosgw) when it serves and "failed …" when it can't. Serves until its standard input ends, then
# ends what it started, by id: whoever holds the other end may die in any way. Everything is below DIR, which
# is made; the certificate is DIR/tls.pem. The key is "rgwkey", its secret "rgwsecret".
set -u
dir=$1 mon_port=$2 http_port=$3 tls_port=$4
export CEPH_CONF=$dir/ceph.conf
mkdir -p "$dir"/{mon,osd,run,log}
pids=()

# Nothing in it is worth a clean shutdown, which takes 5 s.
finish() {
	[ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
	wait
}
trap finish EXIT

fail() {
	echo "failed: $1: $(tail -qn 3 "$dir"/log/* 2>/dev/null | tr '\n' ' ' | tail -c 2000)"
	exit 1
}

# until_so TENTHS COMMAND …: a daemon tells nobody that it is up, so it is asked.
until_so() {
	local left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}

daemon() {
	"$@" </dev/null >>"$dir/log/out" 2>&1 &
	pids+=($!)
}

osd_up() { timeout 10 ceph osd stat | grep -q '1 up'; }
serves() { (exec 3<>"/dev/tcp/127.0.0.1/$http_port"); }

fsid=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
cat >"$CEPH_CONF" <<END
[global]
fsid = $fsid
mon_host = v1:127.0.0.1:$mon_port
# clients know the fsid at once; without it the OSD may ask before the monitor knows, and give up
monmap = $dir/monmap
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# one of everything
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# each change of the map waits a second by default: 13 s to start instead of 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
pid_file = $dir/run/\$name.pid
log_file = $dir/log/\$name.log
mon_cluster_log_file = $dir/log/cluster.log
crash_dir = $dir/log
[mon]
mon_data = $dir/mon
mon_data_avail_crit = 1
[osd]
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_memory_target = 939524096
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_class_load_list = *
osd_class_default_list = *
[client]
rgw_frontends = beast endpoint=127.0.0.1:$http_port ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$dir/tls.pem ssl_private_key=$dir/tls.pem tcp_nodelay=1
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_thread_pool_size = 16
END
exec 2>>"$dir/log/setup"
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$dir/key.pem" -out "$dir/tls.pem" && cat "$dir/key.pem" >>"$dir/tls.pem"
	monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon_port]" "$dir/monmap"
	ceph-mon -i a --mkfs --monmap "$dir/monmap"
} >>"$dir/log/setup" || fail 'setting up'
daemon ceph-mon -f -i a
timeout 60 ceph osd new "$osd" >>"$dir/log/setup" || fail 'the monitor'
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >>"$dir/log/setup" || fail 'the store'
timeout 30 ceph osd crush add osd.0 1.0 root=default host=localhost >>"$dir/log/setup" || fail 'the map'
daemon ceph-osd -f -i 0
until_so 200 osd_up || fail 'the OSD'
timeout 90 radosgw-admin user create --uid=test --display-name=test --access-key=rgwkey --secret-key=rgwsecret \
	>>"$dir/log/setup" || fail 'the user'
daemon radosgw -f -n client.rgw
until_so 600 serves || fail 'radosgw'
echo "ready ${pids[2]}"
cat >/dev/null
