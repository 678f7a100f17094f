#!/bin/sh
# An adapter in sh: JSON objects in, JSON objects out, one a line.
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*)
      if [ -r /proc/uptime ]; then
        read -r up _ </proc/uptime
      else
        up=0
      fi
      who=$(hostname 2>/dev/null || echo unknown)
      printf '{"op":"result","data":[{"host":"%s","uptime_seconds":%s,"kernel":"%s"}]}\n' "$who" "$up" "$(uname -sr)" ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
