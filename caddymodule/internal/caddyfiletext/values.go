package caddyfiletext

import (
	"math"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/ainative/portcullis/plugins/ratelimit"
)

// Line reads one argument or more and joins them with spaces.
func Line(d *caddyfile.Dispenser, into *string) error {
	var words []string
	if err := Words(d, &words); err != nil {
		return err
	}
	*into = strings.Join(words, " ")
	return nil
}

// Limit reads and checks the words of one limit and appends them as a line.
func Limit(d *caddyfile.Dispenser, into *[]string) error {
	var line string
	if err := Line(d, &line); err != nil {
		return err
	}
	if _, err := ratelimit.ParseLimits([]string{line}); err != nil {
		return d.WrapErr(err)
	}
	*into = append(*into, line)
	return nil
}

// Number reads a whole number of 1 or more.
func Number(d *caddyfile.Dispenser, into *int) error {
	name := d.Val()
	var text string
	if err := Word(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s %s: write a whole number of 1 or more", name, text)
	}
	*into = n
	return nil
}

// Duration reads a duration in Caddy's syntax, which has days.
func Duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name := d.Val()
	var text string
	if err := Word(d, &text); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil || parsed < 0 {
		return d.Errf("%s %s is not a duration: write one like 30s, 5m, 8h or 1d", name, text)
	}
	*into = caddy.Duration(parsed)
	return nil
}

// NoBlock rejects a block after a line that takes none.
func NoBlock(d *caddyfile.Dispenser, name string) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("%s takes no block", name)
	}
	return nil
}

// Secret reads one secret, which must not be empty. A placeholder is kept, and resolved at
// provision.
func Secret(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if err := Word(d, into); err != nil {
		return err
	}
	return CheckSecret(d, name, *into)
}

// CheckSecret rejects an empty secret, and a file with a relative path.
func CheckSecret(d *caddyfile.Dispenser, name, secret string) error {
	if secret == "" {
		return d.Errf("%s is empty: write `%s {env.NAME}` or `%s {file./absolute/path}`", name, name, name)
	}
	if strings.HasPrefix(secret, "{file.") && !strings.HasPrefix(secret, "{file./") {
		return d.Errf("%s %s: give the file with its absolute path, like {file./etc/portcullis/secret}", name, secret)
	}
	return nil
}

// Size reads a size such as 1MiB.
func Size(d *caddyfile.Dispenser, into *int64) error {
	name := d.Val()
	var text string
	if err := Word(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt32 {
		return d.Errf("%s %s: write a size like 64KiB or 1MiB, below 2GiB", name, text)
	}
	*into = int64(n)
	return nil
}
