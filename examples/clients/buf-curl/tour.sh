#!/usr/bin/env bash
# A tour of flocks over gRPC with what is on a shell's PATH: tour.sh SERVICE. No proto and no generated code is needed:
# `buf curl` asks the daemon itself what its messages look like (reflection). jq reads the JSON.
set -euo pipefail

readonly log_lines=5

if (($# != 1)); then
    echo "usage: tour.sh SERVICE" >&2
    exit 2
fi
readonly service=$1
readonly socket=${FLOCKS_SOCKET:-${FLOCKS_ROOT:-$HOME/.flocks}/run/flocksd.sock}
# buf would say that there is no such service.
if [[ ! -S $socket ]]; then
    echo "tour: no daemon has its socket at $socket: flocks start" >&2
    exit 1
fi

# curl TIME REQUEST METHOD: the answer, or the messages of a stream, as JSON. Always in a subshell, which becomes timeout, the
# leader of a process group: buf from npm is more than one process.
curl() {
    exec timeout "$1" buf curl --unix-socket "$socket" --protocol grpc --http2-prior-knowledge --timeout "$1" \
        --data "$2" "http://localhost/$3"
}

# call METHOD REQUEST, watch METHOD REQUEST: one of SupervisorService.
call() { curl 10s "$2" "flocks.v1.SupervisorService/$1"; }
watch() { curl 60s "$2" "flocks.v1.SupervisorService/$1"; }

# A request is made by jq as well, which quotes what has to be.
services=$(jq -nc --arg service "$service" '{services: [$service]}')

# Every service; proto3's JSON leaves zeros out.
status=$(call GetStatus '{}')
jq -r '.services[] | "status: \(.name) \(.state | ltrimstr("SERVICE_STATE_")), generation \(.generation // 0)"' <<<"$status"

# Begins, then watches: the work is the daemon's and would go on without us.
operation=$(call RestartServices "$services" | jq -c '{operationId: .operation.id}')
watch WatchOperation "$operation" | jq -r '.operation
    | "restart: \(.state | ltrimstr("OPERATION_STATE_")), \(.stepsDone // 0) of \(.stepsTotal)",
      (select(.endedAt) | .outcomes[]
        | "restart: \(.service) generation \(.fromGeneration) -> \(.toGeneration)")'

# until_enough FILTER METHOD REQUEST: lines of a stream that does not end by itself, until the filter has enough.
until_enough() {
    local stream
    exec {stream}< <(watch "$2" "$3")
    local -r pid=$!
    jq -rn --arg service "$service" --argjson before "$status" --argjson lines "$log_lines" "$1" <&"$stream"
    kill -KILL -- "-$pid" 2>/dev/null || true
    exec {stream}<&-
}

# Bytes are base64 in JSON; a piece holds whole lines.
# shellcheck disable=SC2016 # the variables are jq's
until_enough 'limit($lines; inputs | .data | @base64d | rtrimstr("\n") | split("\n")[] | "log: \(.)")' \
    ReadLogs "$(jq -c '. + {tail: 2, follow: true}' <<<"$services")"

# Everything since the status, until the service is healthy in another generation.
# shellcheck disable=SC2016
until_enough '
    ($before.services[] | select(.name == $service) | .generation) as $old
    | label $seen
    | inputs.event.service.status
    | select(.)
    | "event: \(.name) \(.state | ltrimstr("SERVICE_STATE_")), generation \(.generation)",
      if .state == "SERVICE_STATE_HEALTHY" and .generation > $old then break $seen else empty end' \
    WatchEvents "$(jq -c --argjson before "$status" '. + {after: $before.eventToken}' <<<"$services")"

call ExplainService "$(jq -nc --arg service "$service" '{service: $service}')" | jq -r '
    "explain: \(.status.name) \(.status.state | ltrimstr("SERVICE_STATE_")), \(.status.reason | ltrimstr("STATE_REASON_"))",
    (.exits[0] // empty
      | if .signal then "explain: generation \(.generation) ended by \(.signal)"
        else "explain: generation \(.generation) ended with \(.exitCode)" end)'

# varint NUMBER: as protobuf writes it.
varint() {
    local n=$1
    for (( ; n > 127; n >>= 7)); do printf '%b' "\\x$(printf %x $((n & 127 | 128)))"; done
    printf '%b' "\\x$(printf %x "$n")"
}

# schema_of TYPE: what reflection tells of it, as a descriptor set: one file after the other, as field 1, behind its length.
schema_of() {
    local file
    curl 10s "{\"fileContainingSymbol\": \"$1\"}" grpc.reflection.v1.ServerReflection/ServerReflectionInfo |
        jq -r '.fileDescriptorResponse.fileDescriptorProto[]' |
        while read -r file; do
            printf '\x0a'
            varint "$(base64 -d <<<"$file" | wc -c)"
            base64 -d <<<"$file"
        done
}

# What a failure brings: a code (buf exits with eight times of it), a text, and a typed detail, which buf curl leaves packed.
code=0
failure=$(call RestartServices '{"services": ["nobody"]}' 2>&1) || code=$(($? / 8))
jq -r --arg code "$code" '"mistake: code \($code), \(.message)"' <<<"$failure"
# The padding that buf leaves out is optional for jq, not for base64.
jq -r '.details[0].value | . + "=" * ((4 - length % 4) % 4)' <<<"$failure" | base64 -d |
    buf convert <(schema_of flocks.v1.ErrorDetail)#format=binpb --type flocks.v1.ErrorDetail --from -#format=binpb --to -#format=json |
    jq -r '"mistake: \(.reason | ltrimstr("ERROR_REASON_")), \(.service): \(.hint)"'
