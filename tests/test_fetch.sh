#!/usr/bin/env bash
# data/fetch.sh against a web server on this machine: mirrors in turn, checksum, resumption, and
# advice where nothing answers.
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT

fail() {
  echo "$*"
  exit 1
}

mkdir -p "$folder/make/wikitext-103-raw" "$folder/www/good" "$folder/www/bad"
for split in train valid test; do
  seq 1 20000 >"$folder/make/wikitext-103-raw/wiki.$split.raw"
done
archive=$folder/www/good/wikitext-103-raw-v1.zip
python3 - "$folder/make" "$archive" <<'PYTHON'
import pathlib, sys, zipfile
with zipfile.ZipFile(sys.argv[2], "w") as archive:
    for file in sorted(pathlib.Path(sys.argv[1]).rglob("*.raw")):
        archive.write(file, file.relative_to(sys.argv[1]))
PYTHON
head -c 1000 /dev/zero >"$folder/www/bad/wikitext-103-raw-v1.zip"

# Python's server, taught to go on in the middle of a file. It logs "GET path status".
python3 -u - "$folder/www" "$folder/port" >"$folder/log" 2>&1 <<'PYTHON' &
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = sys.argv[1] + self.path
        if not os.path.isfile(path):
            return self.answer(404, b"")
        data = open(path, "rb").read()
        begin = self.headers.get("Range", "bytes=0-")[6:].split("-")[0]
        if int(begin) > len(data):
            return self.answer(416, b"")
        partial = "Range" in self.headers
        self.answer(206 if partial else 200, data[int(begin):],
                    f"bytes {begin}-{len(data) - 1}/{len(data)}" if partial else None)
    def answer(self, status, body, content_range=None):
        print("GET", self.path, status, len(body))
        self.send_response(status)
        if content_range: self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[2] + ".new", "w").write(str(server.server_address[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
PYTHON
server=$!
for _ in $(seq 100); do [ -e "$folder/port" ] && break || sleep 0.1; done
url=http://127.0.0.1:$(cat "$folder/port")

export no_proxy='*' WIKITEXT103_SHA256 WIKITEXT103_MIRRORS
WIKITEXT103_SHA256=$(sha256sum <"$archive" | cut -d' ' -f1)
out=$folder/out

# A mirror that lacks the file and one that sends another are passed over.
WIKITEXT103_MIRRORS="$url/missing $url/bad $url/good"
data/fetch.sh raw "$out" >"$folder/said" 2>&1 || fail "not fetched: $(cat "$folder/said")"
grep -q 'not wikitext-103-raw-v1.zip' "$folder/said" || fail "a wrong archive went unnoticed"
cmp "$out/wikitext-103-raw/wiki.test.raw" "$folder/make/wikitext-103-raw/wiki.test.raw"
[ "$(ls -A "$out")" = wikitext-103-raw ] || fail "left behind: $(ls -A "$out")"
data/fetch.sh raw "$out" | grep -q 'there already' || fail "fetched again what is there"

# What is here of an interrupted download is not fetched again.
rm -rf "$out" && mkdir "$out"
head -c 5000 "$archive" >"$out/wikitext-103-raw-v1.zip.part"
WIKITEXT103_MIRRORS=$url/good data/fetch.sh raw "$out" >/dev/null
rest=$(($(wc -c <"$archive") - 5000))
grep -q "GET /good/wikitext-103-raw-v1.zip 206 $rest" "$folder/log" || fail "not resumed"

# A part longer than the archive is none.
rm -rf "$out" && mkdir "$out"
cat "$archive" "$archive" >"$out/wikitext-103-raw-v1.zip.part"
WIKITEXT103_MIRRORS=$url/good data/fetch.sh raw "$out" >/dev/null || fail "stuck on a bad part"

# A damaged part is noticed once it is whole, and the same mirror asked again from the beginning.
rm -rf "$out" && mkdir "$out"
head -c 5000 /dev/zero >"$out/wikitext-103-raw-v1.zip.part"
WIKITEXT103_MIRRORS=$url/good data/fetch.sh raw "$out" >/dev/null 2>&1 || fail "stuck on a damaged part"

# Without any mirror: advice, and then the archive put there by hand.
rm -rf "$out"
export WIKITEXT103_MIRRORS=http://127.0.0.1:1
if data/fetch.sh raw "$out" >"$folder/said" 2>&1; then fail "fetched from nowhere"; fi
grep -q "put it at $out/wikitext-103-raw-v1.zip" "$folder/said" || fail "no advice"
cp "$archive" "$out/"
data/fetch.sh raw "$out" >/dev/null || fail "an archive put there by hand was not used"
[ -s "$out/wikitext-103-raw/wiki.train.raw" ] || fail "nothing was unpacked"
