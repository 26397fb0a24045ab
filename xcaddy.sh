#!/usr/bin/env bash
#
# Builds, runs, tests and measures Portcullis. `./xcaddy.sh help` says how.
#
# Needs Bash 3.2 or newer (what macOS has) and Go; nothing else for build and run.

set -euo pipefail

readonly module=github.com/ainative/portcullis
readonly go_minimum_major=1
readonly go_minimum_minor=26

# The tags that xcaddy itself builds with: what is tested and linted is what ships.
readonly tags=nobadger,nomysql,nopgx

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
readonly root
readonly tools_dir=$root/bin/.tools
caddy_version= # of go.mod; build reads it

usage() {
	cat <<'USAGE'
Usage: ./xcaddy.sh <command>

  run                     build, then serve Caddyfile.example on http://localhost:8080
  build [-o <path>]       build bin/caddy (or <path>) with all modules of the gateway
  test [<package>...]     install what the tests need, then run them all, with the race detector
  test --fast [<package>...]
                          only the tests that start no server, without the race detector: for each save
  lint                    check formatting and run the linters (the first time builds them: 3 to 4 minutes)
  mutate [--again] [<package>...]
                          take every check out of the security packages, one at a time, and see that a test fails
  bench [--quick] [--rounds N] [--rows PATTERNS] [--check]
                          compare the gateway's cost per request with bare Caddy's, nginx's and
                          HAProxy's (Linux, needs wrk); bench --help says more
  clean                   remove bin/; what `run` made stays in data/
  help                    print this

Environment:
  PORTCULLIS_DATA         where `run` keeps its database, secret and demo key (default: ./data)
  PORTCULLIS_JWT_SECRET   HS256 secret of `run`'s issuer, 32 bytes or more (default: made once, kept in the data directory)
USAGE
}

say() { printf '%s\n' "$*"; }

# die prints why, and what to do, to the person in front of the terminal.
die() {
	printf 'xcaddy.sh: %s\n' "$1" >&2
	shift
	if [ $# -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

require_go() {
	if ! have go; then
		die "Go is not installed, or not in PATH." \
			"Portcullis needs Go $go_minimum_major.$go_minimum_minor or newer: https://go.dev/dl/" \
			"After installing, open a new terminal, or: export PATH=\$PATH:/usr/local/go/bin"
	fi
	local found version major minor
	found=$(go version | awk '{ print $3 }')
	# Inside the module, a Go with GOTOOLCHAIN=auto answers with the version that it switched to.
	if version=$(cd "$root" && go env GOVERSION 2>/dev/null) && [ -n "$version" ]; then found=$version; fi
	version=${found#go}
	major=${version%%.*}
	minor=${version#*.}
	minor=${minor%%[!0-9]*}
	case $major$minor in
	'' | *[!0-9]*) return 0 ;; # a development build of Go: let the compiler judge
	esac
	if [ "$major" -lt "$go_minimum_major" ] ||
		{ [ "$major" -eq "$go_minimum_major" ] && [ "$minor" -lt "$go_minimum_minor" ]; }; then
		die "this Go is $found; Portcullis needs $go_minimum_major.$go_minimum_minor or newer." \
			"Get it from https://go.dev/dl/, or let Go fetch it itself: go env -w GOTOOLCHAIN=auto"
	fi
}

# --- progress ---------------------------------------------------------------

# progress_line <log> <packages> says in one line how far go has come whose output
# (with -v: the name of each package that it compiles) is in the log.
progress_line() {
	awk -v all="$2" '
		/^go: downloading / { modules++; module = $3 " " $4; phase = "modules" }
		/^# get .*\.zip: 200/ { modules++; module = $3; sub(/^.*:\/\/[^\/]*\//, "", module); sub(/\/@v\/.*$/, "", module); phase = "modules" }
		/\[INFO\] exec .* build / { phase = "compile" }
		/\[INFO\] exec .* (get|tidy) / { phase = "modules" }
		/^[A-Za-z0-9][^ \t:#]*$/ { packages++; package = $1; phase = "compile" }
		END {
			if (phase == "modules" && modules) printf "%d modules downloaded, now %s", modules, module
			else if (phase == "modules") printf "resolving modules"
			else if (packages) printf "%d of %s packages compiled, now %s", packages, (packages > all ? packages : all), package
			else if (phase == "compile") printf "compiling; what is in the build cache is not compiled again"
			else printf "starting"
		}' "$1" 2>/dev/null
}

# watch <what> <log> <packages> says every now and then how far go has come: on a
# terminal in one line that changes, in a log by a line each quarter of a minute.
watch() {
	local line last= columns rounds=0 begun=$SECONDS
	columns=$(tput cols 2>/dev/null) || columns=80
	while kill -0 $$ 2>/dev/null; do
		line="$1: $(progress_line "$2" "$3") ($((SECONDS - begun)) s)"
		if [ -t 2 ]; then
			printf '\r\033[K%.*s' "$((columns - 1))" "$line" >&2
		elif [ $((rounds % 15)) -eq 14 ] && [ "${line% (*}" != "$last" ]; then
			printf '%s\n' "$line" >&2
			last=${line% (*}
		fi
		rounds=$((rounds + 1))
		sleep 1
	done
}

# watched <what> <log> <packages> <command>... runs the command, which writes the
# log, and shows how far it is. Its status is the command's.
watched() {
	local what=$1 log=$2 packages=$3 watcher status=0
	shift 3
	watch "$what" "$log" "$packages" &
	watcher=$!
	"$@" || status=$?
	kill "$watcher" 2>/dev/null || true
	wait "$watcher" 2>/dev/null || true
	if [ -t 2 ]; then printf '\r\033[K' >&2; fi
	return "$status"
}

# count_packages <flag or pattern>... prints how many packages a build has at most.
count_packages() {
	(cd "$root" && go list -deps -tags "$tags" "$@" 2>/dev/null | wc -l | tr -d ' ') || true
}

# logged <log> <command>... runs a command in the root, with its output in a log.
logged() {
	local log=$1
	shift
	(cd "$root" && "$@") >"$log" 2>&1
}

# --- build ------------------------------------------------------------------

# xcaddy_build <output> <log> runs xcaddy with the environment it is given.
xcaddy_build() {
	# -v: go names the packages that it compiles, which is the progress shown.
	(cd "$root" && GOFLAGS="${GOFLAGS:-$(go env GOFLAGS)} -v" "$tools_dir/xcaddy" build "$caddy_version" \
		--with "$module/caddymodule" --replace "$module=$root" --output "$1") >"$2" 2>&1
}

build() {
	local output=$root/bin/caddy
	while [ $# -gt 0 ]; do
		case $1 in
		-o | --output)
			[ $# -ge 2 ] || die "$1 needs a path."
			output=$2
			shift 2
			;;
		*) die "build: unknown argument '$1'." "Usage: ./xcaddy.sh build [-o <path>]" ;;
		esac
	done
	case $output in
	/*) ;;
	*) output=$PWD/$output ;;
	esac
	if [ -d "$output" ]; then die "$output is a directory; name a file: -o ${output%/}/caddy"; fi

	require_go
	mkdir -p "$tools_dir" "$(dirname "$output")"
	local log=$root/bin/build.log
	: >"$log"

	# xcaddy is a tool of go.mod: pinned and checksummed, nothing to install.
	watched "Building xcaddy" "$log" "$(count_packages github.com/caddyserver/xcaddy/cmd/xcaddy)" \
		logged "$log" go build -v -o "$tools_dir/xcaddy" github.com/caddyserver/xcaddy/cmd/xcaddy ||
		build_failed "$log" "building xcaddy"
	caddy_version=$(cd "$root" && go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2 2>"$log") ||
		build_failed "$log" "reading the Caddy version of go.mod"

	# The packages' modules may have to be downloaded before they can be counted.
	: >"$log"
	watched "Downloading modules" "$log" "" logged "$log" go list -deps -tags "$tags" -f '{{with .Error}}{{end}}' ./caddymodule/cmd/caddy || true
	local packages
	packages=$(count_packages ./caddymodule/cmd/caddy)
	: >"$log"
	if ! watched "Building Caddy with the gateway" "$log" "$packages" xcaddy_build "$output" "$log"; then
		if resolved "$log"; then build_failed "$log" "building $module"; fi
		# xcaddy asks the module source whether a newer $module exists. Sources other
		# than the public one may answer with an error instead of "not found". All
		# that the build needs is in go.mod: fetch that (checked against go.sum), and
		# let xcaddy resolve from the module cache alone.
		cp "$log" "$log.first"
		: >"$log"
		watched "Downloading modules" "$log" "" logged "$log" go mod download -x ||
			build_failed "$log" "downloading the modules of go.mod"
		: >"$log"
		GOPROXY="file://$(go env GOMODCACHE)/cache/download" GONOSUMDB='*' GOFLAGS="$(go env GOFLAGS) -mod=mod" \
			watched "Building Caddy with the gateway" "$log" "$packages" xcaddy_build "$output" "$log" ||
			build_failed "$log" "building $module" "$log.first"
		rm -f "$log.first"
	fi
	rm -f "$log"
	say "built ${output#"$PWD"/}: Caddy $("$output" version | awk '{ print $1 }') with Portcullis"
}

# build_failed <log> <what> [<log of an earlier attempt>] prints what the last
# command said that the build ran, and gives up.
build_failed() {
	local hint=
	printf '\n' >&2
	if resolved "$1"; then
		last_command "$1" >&2
	else
		if [ $# -ge 3 ]; then
			printf '%s\n' "--- first attempt, with the default module source ---" >&2
			last_command "$3" >&2
			printf '%s\n' "--- second attempt, with the module cache only ---" >&2
		fi
		last_command "$1" >&2
		hint="No network, or behind a proxy? Go reads modules from $(go env GOPROXY 2>/dev/null) (GOPROXY)."
	fi
	die "$2 failed; why is above, and in full in ${1#"$root"/}." ${hint:+"$hint"}
}

# resolved tells whether xcaddy got past resolving modules; what fails then is the
# compiler, and another module source changes nothing.
resolved() { grep -q 'Build environment ready' "$1"; }

# last_command prints what a log holds after the last command that xcaddy ran, but
# for the names of packages that were compiled.
last_command() {
	awk '/\[INFO\] exec /{ n = 0 } NF && !/\[INFO\]/ && !/^# get / && !/^[A-Za-z0-9][^ \t:#]*$/{ line[n++] = $0 } END { for (i = (n > 40 ? n - 40 : 0); i < n; i++) print line[i] }' "$1"
}

# --- run --------------------------------------------------------------------

readonly gateway_port=8080 upstream_port=9000 admin_port=2019

port_open() { (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null; }

# holder_of <port> names the program that listens there, where the system tells.
holder_of() {
	if have lsof; then
		lsof -nP -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | awk 'NR > 1 { print " (by " $1 ", process " $2 ")"; exit }'
	elif have ss; then
		ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ (by \1, process \2)/p' | head -n 1
	fi
}

require_free_ports() {
	local taken=0 port what
	for port in $gateway_port $upstream_port $admin_port; do
		case $port in
		"$gateway_port") what="the gateway" ;;
		"$upstream_port") what="the demo upstream" ;;
		*) what="Caddy's admin endpoint" ;;
		esac
		if port_open "$port"; then
			printf 'xcaddy.sh: port %s on localhost is taken%s; %s needs it.\n' "$port" "$(holder_of "$port")" "$what" >&2
			taken=1
		fi
	done
	if [ "$taken" -ne 0 ]; then
		die "stop what listens there and start again." \
			"Is it an earlier Caddy? Stop it with: bin/caddy stop" \
			"Other ports: change them in Caddyfile.example and start it with bin/caddy run --config Caddyfile.example"
	fi
}

# random_secret prints 64 hexadecimal characters, 256 bits.
random_secret() { od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'; }

# status_of <path> <header> prints the status of a GET on the gateway, asked
# without curl: a machine with only Go must do.
status_of() {
	local status=
	{
		exec 3<>"/dev/tcp/localhost/$gateway_port" || return 1
		printf 'GET %s HTTP/1.1\r\nHost: localhost:%s\r\n%s\r\nConnection: close\r\n\r\n' "$1" "$gateway_port" "$2" >&3
		read -r -t 10 _ status _ <&3 || true
		exec 3>&-
	} 2>/dev/null
	printf '%s' "$status"
}

# demo_key makes sure that <data>/demo.key holds a key that the gateway accepts.
demo_key() {
	local file=$1/demo.key key=
	if [ -s "$file" ]; then
		key=$(cat "$file")
		if [ "$(status_of /v1/auth/me "X-API-Key: $key")" != 401 ]; then return 0; fi
		say "The key in $file is no longer good; making a new one."
	fi
	if ! key=$("$root/bin/caddy" gateway key create --owner demo --name "Demo key" --role USER --tier free 2>"$file.log"); then
		cat "$file.log" >&2
		rm -f "$file.log"
		return 1
	fi
	rm -f "$file.log"
	(umask 077 && printf '%s\n' "$key" >"$file.new") && mv -f "$file.new" "$file"
}

# greet waits until the gateway of process <pid> serves, then prints what to try.
greet() {
	local pid=$1 data=$2 shown=$3 waited=0
	until port_open "$admin_port" && port_open "$gateway_port"; do
		if ! kill -0 "$pid" 2>/dev/null; then
			printf 'xcaddy.sh: the gateway did not start; %s says:\n' "$shown/caddy.log" >&2
			tail -n 20 "$data/caddy.log" >&2
			return 0
		fi
		waited=$((waited + 1))
		if [ "$waited" -gt 300 ]; then
			printf 'xcaddy.sh: the gateway did not open ports %s and %s within 60 seconds; see %s.\n' "$gateway_port" "$admin_port" "$shown/caddy.log" >&2
			return 0
		fi
		sleep 0.2
	done
	if ! demo_key "$data"; then
		kill -0 "$pid" 2>/dev/null || return 0
		printf 'xcaddy.sh: making the demo key failed (see above); the gateway goes on without one.\n' >&2
		return 0
	fi

	local url=http://localhost:$gateway_port key token
	key="-H \"X-API-Key: \$(cat $shown/demo.key)\""
	# Not the key's owner: the requests over the limit of one are not the other's.
	token=$("$tools_dir/bench" token --subject alice --role USER --tier free 2>/dev/null) || token=
	cat <<GREETING

The gateway serves on $url, in front of a demo API. Try, in another terminal:

  # 200: a good API key
  curl -i $url/v1/items $key
GREETING
	if [ -n "$token" ]; then
		cat <<GREETING

  # 200: a JWT instead, good for 8 hours
  curl -i $url/v1/items -H "Authorization: Bearer $token"
GREETING
	fi
	cat <<GREETING

  # 401: no credential
  curl -i $url/v1/items

  # 403: the key's role is USER, the route wants ADMIN
  curl -i $url/v1/admin/users $key

  # 201 and 200: an account, and a log-in that gives it a token
  curl -i $url/v1/auth/register -H 'Content-Type: application/json' -d '{"email":"user@example.com","password":"SecurePass123!","full_name":"John Doe"}'
  curl -i $url/v1/auth/login-json -H 'Content-Type: application/json' -d '{"username":"user@example.com","password":"SecurePass123!"}'

  # 429: tier free allows 60 a minute, and one more
  for i in \$(seq 70); do curl -s -o /dev/null -w '%{http_code}\n' $url/v1/items $key; done | sort | uniq -c
GREETING
	cat <<GREETING

Keys:  bin/caddy gateway key list
Log:   $shown/caddy.log
Stop:  Ctrl-C

GREETING
}

run() {
	[ $# -eq 0 ] || die "run takes no arguments." "Its settings are in Caddyfile.example."
	require_go
	require_free_ports
	build
	# The program that measures also mints the demo token; without it only that line is missing.
	(cd "$root" && go build -o "$tools_dir/bench" ./bench) >/dev/null 2>&1 || true

	local data=${PORTCULLIS_DATA:-$root/data}
	mkdir -p "$data" || die "the data directory $data can't be made." "Set PORTCULLIS_DATA to a directory that you may write."
	chmod 700 "$data" 2>/dev/null || true
	[ -w "$data" ] || die "the data directory $data can't be written." "Set PORTCULLIS_DATA to a directory that you may write."
	data=$(cd "$data" && pwd -P)

	if [ -z "${PORTCULLIS_JWT_SECRET:-}" ]; then
		if [ ! -s "$data/jwt.secret" ]; then
			(umask 077 && random_secret >"$data/jwt.secret.new") && mv -f "$data/jwt.secret.new" "$data/jwt.secret"
		fi
		PORTCULLIS_JWT_SECRET=$(cat "$data/jwt.secret")
	fi
	export PORTCULLIS_JWT_SECRET

	# Caddy's own state goes below the data directory too: nothing is left elsewhere.
	export XDG_DATA_HOME=$data/share XDG_CONFIG_HOME=$data/config
	# Fewer garbage collections for some 50 MB more memory: a fifth less CPU per request.
	export GOGC=${GOGC:-1000} GOMEMLIMIT=${GOMEMLIMIT:-512MiB}

	# Caddy takes the place of this script: Ctrl-C, signals and the exit code are its
	# own. What it logs goes to a file: the terminal is for the greeting. The log of
	# the last run is kept.
	local shown=${data#"$PWD"/}
	if [ -s "$data/caddy.log" ]; then mv -f "$data/caddy.log" "$data/caddy.log.1"; fi
	greet $$ "$data" "$shown" &
	cd "$root"
	exec "$root/bin/caddy" run --config Caddyfile.example --adapter caddyfile >"$data/caddy.log" 2>&1
}

# --- test -------------------------------------------------------------------

# have_postgres looks where the tests look: Debian keeps the server out of PATH.
have_postgres() {
	local bin
	for bin in /usr/lib/postgresql/*/bin; do
		if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then return 0; fi
	done
	have initdb && have postgres
}

# missing_packages prints the Debian packages that the tests need and that are
# not there. A program found in PATH counts, whoever installed it.
missing_packages() {
	local missing=()
	have gcc || missing+=(gcc)
	[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev) # with gcc: what the race detector links with
	have redis-server || missing+=(redis-server)
	have nginx || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
	have_postgres || missing+=(postgresql)
	/usr/bin/python3 -c 'import fastapi' 2>/dev/null || missing+=(python3-fastapi)
	/usr/bin/python3 -c 'import uvicorn' 2>/dev/null || missing+=(python3-uvicorn)
	/usr/bin/python3 -c 'import requests' 2>/dev/null || missing+=(python3-requests)
	/usr/bin/python3 -c 'import aiohttp' 2>/dev/null || missing+=(python3-aiohttp)
	/usr/bin/python3 -c 'import flask' 2>/dev/null || missing+=(python3-flask)
	/usr/bin/python3 -c 'import django' 2>/dev/null || missing+=(python3-django)
	/usr/bin/python3 -c 'import jwt' 2>/dev/null || missing+=(python3-jwt)
	/usr/bin/python3 -c 'import rest_framework_simplejwt' 2>/dev/null || missing+=(python3-djangorestframework-simplejwt)
	have php-cgi || missing+=(php-cgi)
	have chromium || have chromium-browser || have google-chrome || missing+=(chromium)
	have node || missing+=(nodejs)
	have npm || missing+=(npm)
	# Servlet containers, where this release of Debian has them: the tests do without.
	if [ ! -e /usr/share/tomcat10/lib/jasper.jar ] && apt-cache show tomcat10-common >/dev/null 2>&1; then missing+=(tomcat10-common); fi
	if [ ! -e /usr/share/java/jetty9-apache-jsp.jar ] && apt-cache show libjetty9-extra-java >/dev/null 2>&1; then missing+=(libjetty9-extra-java); fi
	have java || missing+=(default-jre-headless)
	printf '%s\n' ${missing[@]+"${missing[@]}"}
}

# apt_install <package>... installs them if this user may; it fails if not.
apt_install() {
	local sudo=()
	if [ "$(id -u)" -ne 0 ]; then
		have sudo && sudo -n true 2>/dev/null || return 1
		sudo=(sudo -n)
	fi
	# Only the programs are wanted: RUNLEVEL=1 keeps the packages from starting
	# their services, on whose ports the tests could otherwise come to depend.
	local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o Dpkg::Use-Pty=0)
	case " $* " in
	*" postgresql "*)
		# Its package makes a database cluster for the system, which starts with the
		# machine. The tests make their own.
		if [ ! -e /etc/postgresql-common ]; then
			${sudo[@]+"${sudo[@]}"} mkdir -p /etc/postgresql-common/createcluster.d
			echo "create_main_cluster = false" |
				${sudo[@]+"${sudo[@]}"} tee /etc/postgresql-common/createcluster.d/portcullis-tests.conf >/dev/null
		fi
		;;
	esac
	${sudo[@]+"${sudo[@]}"} "${apt[@]}" update </dev/null >/dev/null || true
	${sudo[@]+"${sudo[@]}"} "${apt[@]}" install --no-install-recommends -y "$@" </dev/null >/dev/null
}

install_test_needs() {
	if [ -r /etc/debian_version ] && have apt-get; then
		local missing
		missing=$(missing_packages | tr '\n' ' ')
		if [ -n "${missing// /}" ]; then
			say "Installing for the tests: $missing"
			# shellcheck disable=SC2086 # a list of words
			apt_install $missing || true
			missing=$(missing_packages | tr '\n' ' ')
			if [ -n "${missing// /}" ]; then
				die "the tests need these packages: $missing" "Install them: sudo apt-get install $missing"
			fi
		fi
		return 0
	fi
	local missing=()
	have cc || have gcc || have clang || missing+=("a C compiler, for the race detector (macOS: xcode-select --install)")
	have redis-server || missing+=("redis-server (macOS: brew install redis)")
	have nginx || missing+=("nginx (macOS: brew install nginx)")
	have_postgres || missing+=("PostgreSQL's server and client (macOS: brew install postgresql@17, and its bin directory in PATH)")
	have node && have npm || missing+=("Node.js with npm (macOS: brew install node)")
	python3 -c 'import fastapi, uvicorn, requests, aiohttp, flask, django, jwt, rest_framework_simplejwt' 2>/dev/null ||
		missing+=("Python with FastAPI, uvicorn, requests, aiohttp, Flask, Django, PyJWT and simplejwt (python3 -m pip install fastapi uvicorn requests aiohttp flask django pyjwt djangorestframework-simplejwt)")
	have chromium || have google-chrome || missing+=("Chromium (macOS: brew install chromium)")
	have php-cgi || missing+=("PHP's php-cgi (macOS: brew install php)")
	[ ${#missing[@]} -eq 0 ] || die "the tests need, and this machine lacks:" "${missing[@]}"
}

# compile_tests <go test flag>... compiles what the tests of packages need, with
# progress; what does not compile is said by go vet or go test.
compile_tests() {
	mkdir -p "$root/bin"
	local log=$root/bin/test-build.log
	: >"$log"
	watched "Compiling what is tested" "$log" "$(count_packages "$@")" logged "$log" go build -v -tags "$tags" "$@" || true
	rm -f "$log"
}

# heartbeat <output> <packages> says each minute how many packages are tested.
heartbeat() {
	local rounds=0
	while sleep 1 && kill -0 $$ 2>/dev/null; do
		rounds=$((rounds + 1))
		[ $((rounds % 60)) -eq 0 ] || continue
		printf '... %s of %s packages tested after %s min\n' "$(grep -cE "^(ok|FAIL|\\?)[[:space:]]+$module/" "$1" || true)" "$2" "$((rounds / 60))" >&2
	done
}

test_fast() {
	require_go
	cd "$root"
	local packages=("$@")
	[ ${#packages[@]} -gt 0 ] || packages=(./...)
	compile_tests "${packages[@]}"
	go test -short -tags "$tags" -timeout 5m "${packages[@]}" </dev/null
}

test_all() {
	if [ "${1:-}" = --fast ]; then
		shift
		test_fast "$@"
		return
	fi
	require_go
	install_test_needs
	cd "$root"
	local express=caddymodule/testdata/express
	# npm notes in node_modules what it has installed.
	if [ -f "$express/package.json" ] && [ ! "$express/node_modules/.package-lock.json" -nt "$express/package-lock.json" ]; then
		say "Installing Express for the interop tests"
		npm --prefix "$express" ci --no-audit --no-fund --loglevel=error </dev/null ||
			die "npm ci in $express failed (see above)."
	fi
	local packages=("$@")
	[ ${#packages[@]} -gt 0 ] || packages=(./...)
	# Race mode for both: Caddy is then compiled once, not twice.
	export CGO_ENABLED=1
	compile_tests -race "${packages[@]}"
	say "Vetting, then testing $(go list "${packages[@]}" | wc -l | tr -d ' ') packages; each says a line when it is done."
	go vet -race -tags "$tags" "${packages[@]}"
	local output=$root/bin/test.log beat status=0
	: >"$output"
	heartbeat "$output" "$(go list "${packages[@]}" | wc -l | tr -d ' ')" &
	beat=$!
	go test -race -tags "$tags" -timeout 18m "${packages[@]}" </dev/null | tee "$output" || status=$?
	kill "$beat" 2>/dev/null || true
	wait "$beat" 2>/dev/null || true
	rm -f "$output"
	return "$status"
}

# --- lint, mutate, bench, clean -----------------------------------------------------

lint() {
	[ $# -eq 0 ] || die "lint takes no arguments."
	require_go
	cd "$root"
	mkdir -p "$tools_dir"
	local failed=0 unformatted
	go build -C tools -o "$tools_dir/gofumpt" mvdan.cc/gofumpt
	unformatted=$(git ls-files -co --exclude-standard '*.go' | tr '\n' '\0' | xargs -0 "$tools_dir/gofumpt" -l)
	if [ -n "$unformatted" ]; then
		printf 'not formatted (gofumpt -w):\n%s\n' "$unformatted" >&2
		failed=1
	fi
	[ -x "$tools_dir/golangci-lint" ] || say "Building golangci-lint; this takes 3 to 4 minutes, once."
	go build -C tools -o "$tools_dir/golangci-lint" github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	"$tools_dir/golangci-lint" config verify || failed=1
	"$tools_dir/golangci-lint" run ./... || failed=1
	[ "$failed" -eq 0 ] || exit 1
	say "lint: nothing to say"
}

mutate() {
	require_go
	cd "$root"
	mkdir -p "$tools_dir"
	(cd tools && go test ./mutate && go build -o "$tools_dir/mutate" ./mutate)
	exec nice -n 19 "$tools_dir/mutate" "$@"
}

bench() {
	[ "$(uname -s)" = Linux ] || die "bench reads the CPU time of a process from /proc and pins it to a core: it needs Linux."
	require_go
	local missing=()
	have wrk || missing+=(wrk)
	have h2load || missing+=(nghttp2-client)
	have nginx || missing+=(nginx)
	have haproxy || missing+=(haproxy)
	if [ ${#missing[@]} -gt 0 ]; then
		# What can't be installed is left out of the table, but for wrk.
		if [ -r /etc/debian_version ] && have apt-get; then
			for package in "${missing[@]}"; do apt_install "$package" || true; done
		fi
		have wrk || die "bench needs wrk, which makes the load." "Debian, Ubuntu: sudo apt-get install wrk" "Else: https://github.com/wg/wrk"
	fi
	build
	(cd "$root" && go build -o "$tools_dir/bench" ./bench)
	cd "$root"
	exec "$tools_dir/bench" compare --caddy bin/caddy --output bench/results/latest.md "$@"
}

clean() {
	[ $# -eq 0 ] || die "clean takes no arguments."
	rm -rf "${root:?}/bin"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
run) run "$@" ;;
build) build "$@" ;;
test) test_all "$@" ;;
lint) lint "$@" ;;
mutate) mutate "$@" ;;
bench) bench "$@" ;;
clean) clean "$@" ;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
