// Package caddyfiletext reads the subdirectives of a directive. Unknown, repeated
// and surplus words are errors with file and line.
package caddyfiletext

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Block reads a block of subdirectives. The parser of each starts with the dispenser on
// the subdirective's name. Unknown and repeated names are errors with file and line: in a
// gateway, a misspelt option that is ignored is an open door.
func Block(d *caddyfile.Dispenser, parsers map[string]func() error, repeatable ...string) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse := parsers[name]
		if parse == nil {
			return d.Errf("unknown subdirective %s: write one of %s", name, strings.Join(slices.Sorted(maps.Keys(parsers)), ", "))
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("subdirective %s is given twice: keep one", name)
		}
		seen[name] = true
		if err := parse(); err != nil {
			return err
		}
	}
	return nil
}

// Word reads exactly one argument.
func Word(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if !d.NextArg() {
		return d.Errf("%s needs a value: write `%s VALUE`", name, name)
	}
	*into = d.Val()
	if d.NextArg() {
		return Surplus(d, name+" takes one value")
	}
	return nil
}

// Words reads one argument or more.
func Words(d *caddyfile.Dispenser, into *[]string) error {
	name := d.Val()
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.Errf("%s needs a value: write `%s VALUE...`", name, name)
	}
	return nil
}

// OneOf reads one of a few words.
func OneOf(d *caddyfile.Dispenser, into *string, choices ...string) error {
	name := d.Val()
	if err := Word(d, into); err != nil {
		return err
	}
	if !slices.Contains(choices, *into) {
		return d.Errf("%s %s: write %s", name, *into, strings.Join(choices, " or "))
	}
	return nil
}

// Flag reads a subdirective without arguments.
func Flag(d *caddyfile.Dispenser, into *bool) error {
	name := d.Val()
	if d.NextArg() {
		return Surplus(d, name+" takes no value")
	}
	*into = true
	return nil
}

// Surplus rejects the dispenser's current word.
func Surplus(d *caddyfile.Dispenser, takes string) error {
	return d.Errf("surplus word %s: %s", d.Val(), takes)
}
