#!/usr/bin/env bash
# Provides the image for `sam local invoke` on a machine that can't reach a container registry.
#
# Usage: tests/stack/stand-in-image.sh
#
# Starts the Docker daemon if it isn't running (needs root). Does nothing more if the image exists
# locally or can be pulled. Otherwise, builds a 5 MB image from this machine's C library and busybox
# and imports it under the real image's name. It can run a Rust function, but does not replace a
# test on the real image. x86-64 only. Needs: docker, and a static busybox (Debian: apt install
# docker.io busybox-static).
set -euo pipefail

image=public.ecr.aws/lambda/provided:al2023

fail() {
  echo "stand-in-image: $*" >&2
  exit 1
}

start_docker() {
  docker info >/dev/null 2>&1 && return
  local log="${TMPDIR:-/tmp}/dockerd.log"
  nohup dockerd >"$log" 2>&1 &
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && return
    sleep 0.5
  done
  fail "the Docker daemon did not start; its log is $log"
}

# Copies a program's shared libraries and the loader into the image's root.
add_libraries() {
  local root=$1
  cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
  for library in libc.so.6 libm.so.6 libgcc_s.so.1 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2 \
    libnss_dns.so.2 libnss_files.so.2; do
    cp -L "/lib/x86_64-linux-gnu/$library" "$root/lib/x86_64-linux-gnu/"
  done
}

start_docker
docker image inspect "$image-x86_64" >/dev/null 2>&1 && exit 0
timeout 120 docker pull --quiet "$image-x86_64" >/dev/null 2>&1 && exit 0

busybox=$(command -v busybox) || fail "busybox is missing (Debian: apt install busybox-static)"
# ldd fails on a static program.
if ldd "$busybox" >/dev/null 2>&1; then
  fail "busybox must be static (Debian: apt install busybox-static)"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,lib64,lib/x86_64-linux-gnu,var/task,var/runtime,var/rapid,tmp,etc/ssl/certs,opt,root,proc,sys,dev}
chmod 1777 "$root/tmp"
cp "$busybox" "$root/bin/busybox"
for name in sh ls cat chmod mv mkdir env cp rm; do
  ln -s busybox "$root/bin/$name"
done
add_libraries "$root"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
tar -C "$root" -c . | docker import - "$image-x86_64" >/dev/null
docker tag "$image-x86_64" "$image"
