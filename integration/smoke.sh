#!/usr/bin/env bash
# Shows the main job of the static binary, one line a check, in a container with Docker's default privileges if
# a daemon answers, otherwise in a PID namespace.
#
#   OUT=FOLDER     where tinysvc and demo lie (target)
#   SMOKE=namespace   no container even if there is Docker
#
# Ends with "smoke: N passed, N failed", and with status 1 if a check failed.
set -u
cd "$(dirname "$0")/.." || exit 1
OUT=${OUT:-target}
PATIENCE=20
tinysvc=$OUT/tinysvc demo=$OUT/demo
for file in "$tinysvc" "$demo"; do
    [ -x "$file" ] || { echo "smoke: $file is missing: make build demo"; exit 1; }
done

scratch=$(mktemp -d)
chmod 755 "$scratch"
passed=0 failed=0 n=0 image=tinysvc-smoke-$$
started=()

# ---- the scene: start ... starts an init, code sets $seen to its exit status; the rest looks at it -----------------------------------

in_docker() {
    start() { # start FLAGS -- INIT WORDS...: in the background; sets $id
        id=$image-$((n += 1))
        local flags=()
        while [ "$1" != -- ]; do flags+=("$1"); shift; done
        shift
        local init=$1
        shift
        docker run -d --name "$id" ${flags[@]+"${flags[@]}"} --entrypoint "$init" "$image" "$@" >/dev/null || return
        started+=("$id")
        pid=$(docker inspect -f '{{.State.Pid}}' "$id")
    }
    output() { docker logs "$id" 2>&1; }
    inside() { docker exec "$id" "$@"; }
    signal() { docker kill -s "$1" "$id" >/dev/null 2>&1; }
    runs() { [ "$(docker inspect -f '{{.State.Running}}' "$id")" = true ]; }
    code() { seen=$(timeout $PATIENCE docker wait "$id"); }
    end() { docker rm -f "$1" >/dev/null; }
    unprivileged=(--read-only --user 65534)
    init=/sbin/tinysvc app=/app counter=/counter
}

in_namespace() {
    local user=()
    [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
    ns=(unshare --pid --fork --mount-proc --net --kill-child ${user[@]+"${user[@]}"})
    start() {
        id=$((n += 1))
        local prefix=()
        while [ "$1" != -- ]; do prefix+=("$1"); shift; done
        shift
        # shellcheck disable=SC2016
        "${ns[@]}" sh -c 'ip link set lo up; exec "$@"' sh ${prefix[@]+"${prefix[@]}"} "$@" \
            >"$scratch/$id.log" 2>&1 </dev/null &
        shell[id]=$!
        started+=("$id")
        pid=0
        local i
        for ((i = 0; i < 200; i++)); do
            pid=$(cat "/proc/${shell[id]}/task/${shell[id]}/children" 2>/dev/null) && pid=${pid%% *}
            case $(cat "/proc/${pid:-0}/comm" 2>/dev/null) in '' | unshare | sh | ip | setpriv) sleep 0.01 ;; *) break ;; esac
            kill -0 "${shell[id]}" 2>/dev/null || break
        done
    }
    output() { cat "$scratch/$id.log"; }
    inside() {
        local user=()
        [ "$(id -u)" = 0 ] || user=(--user --preserve-credentials)
        nsenter --target "$pid" --pid --mount --net ${user[@]+"${user[@]}"} -- "$@"
    }
    signal() { kill -s "$1" "${pid:-none}" 2>/dev/null; }
    runs() { kill -0 "${shell[id]}" 2>/dev/null; }
    code() { # in this shell, whose child it is
        seen='still running'
        wait_until "! runs" || return
        wait "${shell[id]}"
        seen=$?
    }
    end() { kill -9 "${shell[$1]}" 2>/dev/null; wait "${shell[$1]}" 2>/dev/null; }
    if [ "$(id -u)" = 0 ]; then
        cp "$tinysvc" "$demo" "$scratch/" # an ordinary user may not reach the folder of the sources
        unprivileged=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all)
    else
        unprivileged=()
    fi
    shell=()
    init=$tinysvc app=$demo counter=$scratch/counter
    [ "$(id -u)" != 0 ] || { init=$scratch/tinysvc app=$scratch/demo; }
}

wait_until() { # wait_until 'COMMAND': polled until it succeeds, or for a little after the end of what runs
    local i
    for ((i = 0; i < PATIENCE * 50; i++)); do
        eval "$1" && return 0
        [ $((i % 25)) != 24 ] || runs 2>/dev/null || { eval "$1"; return; }
        sleep 0.02
    done
    return 1
}
shows() { output | grep -qF -- "$1"; }
below() { # every process below $pid: "PID STATE" a line
    local todo=("$pid") next stat rest p
    while [ ${#todo[@]} -gt 0 ]; do
        next=()
        for p in /proc/[0-9]*/stat; do
            stat=$(cat "$p" 2>/dev/null) || continue
            rest=${stat##*) }
            set -- $rest
            case " ${todo[*]} " in *" $2 "*) echo "${stat%% *} $1"; next+=("${stat%% *}") ;; esac
        done
        todo=(${next[@]+"${next[@]}"})
    done
}
zombies() { below | grep -c ' Z$'; }
http() { inside "$app" get 8469 "$1" 2>/dev/null | head -1 | tr -d '\r' | cut -d' ' -f2; }
check() { # check WHAT WANTED SEEN
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        printf 'ok      %-48s %s\n' "$1" "$3"
    else
        failed=$((failed + 1))
        printf 'FAILED  %-48s %s, not %s\n' "$1" "${3:-nothing}" "$2"
        output 2>/dev/null | tail -15 | sed 's/^/        | /'
    fi
}
finish() {
    local one
    for one in ${started[@]+"${started[@]}"}; do end "$one"; done
    [ "$where" = namespace ] || docker rmi -f "$image" >/dev/null 2>&1
    rm -rf "$scratch"
}

where=namespace why='no Docker daemon answers'
[ "${SMOKE:-}" != namespace ] || why='as asked'
if [ "${SMOKE:-}" != namespace ] && version=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
    if error=$(docker build -q -t "$image" -f docker/Dockerfile.demo "$OUT" 2>&1); then
        where="container (Docker $version, default privileges)"
    else
        why="no image could be built: $(echo "$error" | tail -1)"
    fi
fi
trap finish EXIT
if [ "$where" = namespace ]; then
    in_namespace
    echo "smoke: in a PID namespace, as $(id -un 2>/dev/null || id -u): $why"
    if ! error=$("${ns[@]}" true 2>&1); then
        echo "smoke: no namespace can be had here: $error"
        exit 1
    fi
else
    in_docker
    echo "smoke: in a $where"
fi

# ---- the checks -------------------------------------------------------------------------------------------

case $(LC_ALL=C ldd "$tinysvc" 2>&1) in *'statically linked'* | *'not a dynamic'*) seen=static ;; *) seen=dynamic ;; esac
check "the binary needs no library" static "$seen"

start -- "$init" -- "$app" exit 42
code
check "the exit status is passed on" 42 "$seen"
start -- "$init" -- "$app" kill KILL
code
check "a death by signal N is 128+N" 137 "$seen"
start -- "$init" -- /nowhere
code
check "a program that is not there is 127" 127 "$seen"

start -- "$app" orphans 100 hang
wait_until 'shows "100 orphans end"'
wait_until '[ "$(zombies)" = 100 ]'
without=$(zombies)
start -- "$init" -- "$app" orphans 100 hang
wait_until 'shows "100 orphans end"'
wait_until '[ "$(below | wc -l)" = 1 ]'
check "zombies are reaped (100 stay without tinysvc)" "100 without, 0 with" "$without without, $(zombies) with"

start -- "$init" -- "$app" trap HUP trap USR1 print up hang
wait_until 'shows up'
signal USR1
wait_until 'shows "got USR1 1"'
check "a signal is forwarded" 1 "$(output | grep -c 'got USR1')"

start -- "$init" -p CapabilityBoundingSet= -- "$app" caps hang
wait_until 'shows CapAmb'
check "capabilities are dropped" "CapEff: 0000000000000000 CapBnd: 0000000000000000" \
    "$(output | grep -E '^Cap(Eff|Bnd)' | xargs)"

start -- "$init" -p 'RestrictAddressFamilies=~AF_PACKET' -- "$app" socket AF_PACKET socket AF_INET
wait_until '! runs'
check "AF_PACKET is refused, AF_INET is not" "socket AF_PACKET: EAFNOSUPPORT, socket AF_INET: ok" \
    "$(output | grep '^socket' | paste -sd, | sed 's/,/, /')"

start -- "$init" -p Restart=on-failure -- "$app" count "$counter-1" exit crash,0
code
check "a crash is restarted" "2 runs, then 0" "$(output | grep -c '^run ') runs, then $seen"

start -- "$init" -p Restart=always -p RestartPreventExitStatus=23 -- "$app" count "$counter-2" exit 1,23,0
code
check "a forbidden exit status is not restarted" "2 runs, then 23" "$(output | grep -c '^run ') runs, then $seen"

start -- "$init" -p DrainSec=3 -- "$app" serve 8080 hang
wait_until '[ "$(http /readyz)" = 200 ]'
check "probes are answered" "livez 200, readyz 200, startupz 200" \
    "livez $(http /livez), readyz $(http /readyz), startupz $(http /startupz)"
inside "$init" health >/dev/null 2>&1
check "tinysvc health agrees" 0 $?
signal TERM
wait_until '[ "$(http /readyz)" = 500 ]'
seen="readyz $(http /readyz), livez $(http /livez)"
seen="$seen, the program $(inside "$app" get 8080 / 2>/dev/null | grep -q hello && echo still answers || echo has gone)"
check "readyz turns at SIGTERM, the program drains" "readyz 500, livez 200, the program still answers" "$seen"
code
check "then it ends as the program does" 143 "$seen"

start ${unprivileged[@]+"${unprivileged[@]}"} -- "$init" -p NoNewPrivileges=yes -- "$app" serve 8080 status hang
wait_until 'shows "end of status"'
check "without any privilege it works too" "NoNewPrivs: 1, readyz 200" \
    "$(output | grep NoNewPrivs), readyz $(http /readyz)"
signal TERM
code
check "and stops" 143 "$seen"

echo
[ "$failed" = 0 ] && echo "tinysvc does its main job in a $where." || echo "tinysvc does NOT do its main job in a $where."
echo "smoke: $passed passed, $failed failed"
[ "$failed" = 0 ]
