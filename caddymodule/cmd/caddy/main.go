// Command caddy is Caddy with the gateway's modules: the binary that `go run`
// and the tests use. It is the same as the one that xcaddy builds.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/ainative/portcullis/caddymodule"
)

func main() { caddycmd.Main() }
