#!/usr/bin/env bash
# Fetches WikiText-103 (CC BY-SA 3.0, Merity et al. 2016) and unpacks it.
#
# Usage: data/fetch.sh tokens|raw [FOLDER]
#   tokens  FOLDER/wikitext-103/wiki.{train,valid,test}.tokens: words, the rare ones as <unk>
#   raw     FOLDER/wikitext-103-raw/wiki.{train,valid,test}.raw: the text before that
# FOLDER is text/ unless given. Mirrors are tried in turn; an interrupted download goes on where it
# stopped; the archive is checked against its SHA-256 and unpacked aside, so that the folder appears
# complete or not at all. Another mirror and archive: WIKITEXT103_MIRRORS, WIKITEXT103_SHA256.
set -eu

kind=${1:-} folder=${2:-text}
case $kind in
  tokens)
    name=wikitext-103 archive=wikitext-103-v1.zip
    sha256=242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590
    ;;
  raw)
    name=wikitext-103-raw archive=wikitext-103-raw-v1.zip
    sha256=91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794
    ;;
  *)
    echo "usage: data/fetch.sh tokens|raw [FOLDER]" >&2
    exit 1
    ;;
esac
sha256=${WIKITEXT103_SHA256:-$sha256}
mirrors=${WIKITEXT103_MIRRORS:-https://wikitext.smerity.com
  https://huggingface.co/datasets/mattdangerw/wikitext-103-raw/resolve/main}
goal=$folder/$name part=$folder/$archive.part

fail() {
  echo "data/fetch.sh: $*" >&2
  exit 1
}

is_whole() { # FILE: whether it is the archive
  [ -e "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$sha256" ]
}

# Goes on with $part from a mirror. A server that cannot do so, or has fewer bytes than are here,
# is asked for all of it.
download() { # URL
  local code resume status=0 quiet=--silent
  [ ! -t 2 ] || quiet=--progress-bar
  for resume in "--continue-at -" ""; do
    status=0
    # Some mirrors refuse curl's own name.
    # shellcheck disable=SC2086
    code=$(curl --fail --location $quiet --show-error --retry 2 --connect-timeout 20 \
      --user-agent 'Mozilla/5.0 (farsight)' $resume --output "$part" \
      --write-out '%{http_code}' "$1") || status=$?
    [ "$status" = 33 ] || [ "$code" = 416 ] || break
  done
  return "$status"
}

fetch_from() { # MIRROR: whether the archive is now here
  echo "fetching $1/$archive"
  download "$1/$archive" || return 1
  is_whole "$part" && return
  echo "data/fetch.sh: what is here from $1 is not $archive (its SHA-256 differs)" >&2
  rm -f "$part"
  return 1
}

if [ -d "$goal" ]; then
  echo "$goal is there already"
  exit 0
fi
for tool in curl unzip sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is not installed; run make deps"
done
mkdir -p "$folder" || fail "cannot write into $folder; name another folder"

# An archive fetched by hand is as good.
[ ! -e "$folder/$archive" ] || is_whole "$part" || cp "$folder/$archive" "$part"
for mirror in $mirrors; do
  is_whole "$part" && break
  begun=
  [ ! -e "$part" ] || begun=yes
  fetch_from "$mirror" && break
  # If a damaged beginning was all that was wrong, the same mirror can give the whole.
  [ -z "$begun" ] || [ -e "$part" ] || ! fetch_from "$mirror" || break
done
is_whole "$part" || fail "no mirror gave $archive. Check the network and run this again (it goes on
where it stopped), or get the file elsewhere, put it at $folder/$archive and run this again. Its
SHA-256 is $sha256."

aside=$(mktemp -d "$folder/.unpacking.XXXXXX")
trap 'rm -rf "$aside"' EXIT
unzip -q "$part" -d "$aside" || fail "$part cannot be unpacked; is the disk full?"
for split in train valid test; do
  [ -s "$aside/$name/wiki.$split.$kind" ] || fail "$archive holds no $name/wiki.$split.$kind"
done
mv "$aside/$name" "$goal"
rm -f "$part"
echo "WikiText-103 is in $goal"
