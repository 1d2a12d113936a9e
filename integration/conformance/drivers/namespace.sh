#!/bin/sh
# A container made of nothing but namespaces, for a supervisor that brings its own binary:
#
#   namespace.sh up NAME SHARE BINARY CAPS -- COMMAND...   start COMMAND as PID 1; return when it runs
#   namespace.sh shell NAME SHARE                          a shell inside, commands on stdin
#   namespace.sh spawn NAME SHARE COMMAND...               run COMMAND inside, outside of PID 1's care
#   namespace.sh possible                                 says why it cannot be, if so
#   namespace.sh down NAME SHARE                           end all of it
#
# Inside: its own PID, mount, UTS, IPC and network namespace; the files of a freshly installed Debian as far as the
# cases look at them (users, folders, /dev, /proc, /sys), all on a tmpfs, with this machine's programs below /usr;
# SHARE as /oracle; BINARY as /tinysvc; PID 1 has the 14 capabilities that Docker gives and those in CAPS
# (`sys_nice,sys_admin` or empty). What is written inside is gone with it: this machine's files are never changed.
#
# As root, or as a user who has subordinate ids (newuidmap(1)), in a user namespace. `up` says why where neither works.
# Everything ends when the process that asked for it does: the parent of `up`.
set -u
act=$1
box=${3:-}.box # what belongs to the harness, not to be seen inside

# The users and groups that every Debian has; some cases look at their numbers.
passwd='root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
games:x:5:60:games:/usr/games:/usr/sbin/nologin
man:x:6:12:man:/var/cache/man:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
news:x:9:9:news:/var/spool/news:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'
group='root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
mail:x:8:
news:x:9:
man:x:12:
www-data:x:33:
games:x:60:
users:x:100:
nogroup:x:65534:'

# PID 1 of the new namespaces, before it becomes the supervisor: builds the root and enters it.
inner() { # inner SHARE BINARY CAPS COMMAND...
    share=$1 binary=$2 caps=$3
    shift 3
    set -e
    mount -t tmpfs -o mode=755 box "$box/mount"
    mkdir "$box/mount/root" "$box/mount/upper" "$box/mount/work"
    mount --bind "$box/mount/root" "$box/mount/root"
    cd "$box/mount/root"
    mkdir -p oracle old proc sys dev usr tmp run/lock run/user home root opt mnt srv media boot \
        etc/systemd/system var/lib var/cache var/log var/tmp var/mail var/spool var/opt
    chmod 1777 tmp var/tmp run/lock
    chmod 700 root
    chown 0:8 var/mail && chmod 2775 var/mail
    ln -s /run var/run
    ln -s /run/lock var/lock
    printf '%s\n' "$passwd" >etc/passwd
    printf '%s\n' "$group" >etc/group
    printf '%s\n' 'passwd: files' 'group: files' >etc/nsswitch.conf
    printf '%s\n' 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"' 'ID=debian' 'VERSION_ID="13"' >etc/os-release
    printf '%s\n' b941cff6981a45c0a5709b1a3761e19d >etc/machine-id
    printf '%s\n' oracle-host >etc/hostname
    printf '%s\n' '127.0.0.1 localhost oracle-host' >etc/hosts
    for file in /etc/ld.so.cache /etc/ld.so.conf /etc/alternatives; do
        [ ! -e "$file" ] || cp -r "$file" etc/
    done
    mount -t overlay -o "lowerdir=/usr,upperdir=$box/mount/upper,workdir=$box/mount/work" usr usr 2>/dev/null ||
        mount --rbind -o ro /usr usr
    mkdir -p usr/games 2>/dev/null || true
    # The units that this machine has are none of the container's.
    [ ! -d usr/lib/systemd/system ] || mount -t tmpfs -o mode=755 units usr/lib/systemd/system
    for folder in bin sbin lib lib32 lib64 libx32; do
        if [ -h /$folder ]; then
            cp -P /$folder $folder
        elif [ -d /$folder ]; then
            mkdir $folder
            mount --rbind /$folder $folder
        fi
    done
    mount -t tmpfs -o mode=755,nosuid dev dev
    mkdir dev/pts dev/shm dev/mqueue
    for device in null zero full random urandom tty; do
        : >dev/$device
        mount --bind /dev/$device dev/$device
    done
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
    mount -t mqueue mqueue dev/mqueue 2>/dev/null || true
    ln -s /proc/self/fd dev/fd
    ln -s /proc/self/fd/0 dev/stdin
    ln -s /proc/self/fd/1 dev/stdout
    ln -s /proc/self/fd/2 dev/stderr
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
    mount -t proc -o nosuid,nodev,noexec proc proc
    mount -t tmpfs -o mode=755,nosuid,nodev run run
    mkdir -p run/lock run/user
    chmod 1777 run/lock
    mount --bind "$share" oracle
    : >tinysvc
    mount --bind "$binary" tinysvc
    hostname oracle-host 2>/dev/null || printf oracle-host >proc/sys/kernel/hostname
    ip link set lo up 2>/dev/null || true
    pivot_root . old
    cd /
    umount -l /old
    rmdir /old
    kept='+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw'
    kept="$kept,+sys_chroot,+mknod,+audit_write,+setfcap"
    for cap in $(echo "$caps" | tr ',' ' '); do kept="$kept,+$cap"; done
    : >/oracle/entered
    exec env -i container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set="-all,$kept" --inh-caps=-all "$@"
}

enter() { # enter COMMAND...
    user=
    [ "$(id -u)" = 0 ] || user='--user --preserve-credentials'
    # shellcheck disable=SC2086
    exec nsenter --target "$(cat "$box/pid")" --pid --mount --uts --ipc --net $user -- \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}

outer='--pid --mount --uts --ipc --net --fork --kill-child'
[ "$(id -u)" = 0 ] || outer="--user --map-root-user --map-auto $outer"

case $act in
possible)
    # shellcheck disable=SC2086
    why=$(unshare $outer mount -t tmpfs box /mnt 2>&1) && exit 0
    echo "no namespaces can be had here: $why" >&2
    exit 1
    ;;
up)
    name=$2 share=$3 binary=$4 caps=$5 owner=$PPID
    shift 6
    mkdir -p "$box/mount"
    # shellcheck disable=SC2086
    unshare $outer sh "$0" inner "$name" "$share" "$binary" "$caps" "$@" </dev/null >"$box/log" 2>&1 &
    id=$!
    # The pid of PID 1 as it is seen from outside, once it is itself.
    i=0
    while [ ! -e "$share/entered" ]; do
        i=$((i + 1))
        if [ $i -gt 1000 ] || ! kill -0 $id 2>/dev/null; then
            cat "$box/log" >&2
            kill -9 $id 2>/dev/null
            exit 1
        fi
        sleep 0.01
    done
    rm "$share/entered"
    pid=
    # The list does not end in a newline, so `read` says that it failed.
    { read -r pid _ <"/proc/$id/task/$id/children"; } 2>/dev/null
    if [ -z "$pid" ]; then
        echo "PID 1 ended at once" >&2
        kill -9 $id 2>/dev/null
        exit 1
    fi
    echo "$pid" >"$box/pid"
    # What must not outlive its owner: one sleeper, which looks once a second.
    (
        tail --pid="$owner" -f /dev/null
        kill -9 "$pid"
    ) </dev/null >/dev/null 2>&1 &
    echo $! >"$box/watcher"
    ;;
inner)
    share=$3
    shift 3
    inner "$share" "$@"
    ;;
shell)
    enter /bin/sh
    ;;
spawn)
    shift 3
    (enter "$@") </dev/null >/dev/null 2>&1 &
    ;;
down)
    [ -e "$box/pid" ] || exit 0
    read -r watcher <"$box/watcher"
    read -r sleeper <"/proc/$watcher/task/$watcher/children"
    # shellcheck disable=SC2086
    kill -9 "$watcher" $sleeper "$(cat "$box/pid")" 2>/dev/null
    rm -rf "$box"
    ;;
*)
    echo "namespace.sh: what is '$act'?" >&2
    exit 64
    ;;
esac
