// Command bench measures what the gateway costs: it runs bare Caddy and the
// gateway, built into the same binary, in turns against the same upstream and the
// same load, and prints each system's requests per second, p99, CPU time per
// request and resident memory with the ratio to bare Caddy.
//
// `./xcaddy.sh bench` builds the binary and starts this program. It needs Linux
// (CPU time is read from /proc) and wrk. See README.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage:
  bench compare [flags]   measure the systems in turns and print a table
  bench upstream <addr>   serve the 200-byte JSON upstream
  bench token [flags]     mint an HS256 token with the secret in PORTCULLIS_JWT_SECRET
`

// errOverBudget is returned by compare --check when a ratio is above its bound.
var errOverBudget = errors.New("over budget")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	switch args[0] {
	case "compare":
		return compareCommand(ctx, args[1:])
	case "upstream":
		return upstreamCommand(ctx, args[1:])
	case "token":
		return tokenCommand(args[1:])
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", args[0])
	}
}
