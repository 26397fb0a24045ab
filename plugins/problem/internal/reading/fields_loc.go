package reading

import (
	"strconv"
	"strings"
)

// Bounds of a field error's location.
const (
	MaxLocDepth   = 16
	maxLocElement = 128
)

// ParseLoc reads a path to a field in any of the notations met:
//
//	a.b.c   a[0].b   a[b][c]   a.0.b   /a/0/b   #/a/b   $.a[0]   $['a']
//
// Numbers become int64. An empty path, and the root, give nil.
func ParseLoc(path string) []any {
	path = strings.TrimSpace(path)
	if rest, ok := strings.CutPrefix(path, "#"); ok && strings.HasPrefix(rest, "/") {
		path = rest
	}
	if strings.HasPrefix(path, "/") {
		return ParsePointer(path)
	}
	if rest, ok := strings.CutPrefix(path, "$"); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
		path = strings.TrimPrefix(rest, ".")
	}
	if path == "" || path == "." {
		return nil
	}
	if !strings.ContainsAny(path, ".[") || strings.ContainsAny(path, " ()") {
		return AppendLoc(nil, path)
	}
	var loc []any
	for path != "" && len(loc) < MaxLocDepth {
		i := strings.IndexAny(path, ".[")
		if i < 0 {
			return AppendLoc(loc, path)
		}
		loc = AppendLoc(loc, path[:i])
		if path[i] == '.' {
			path = path[i+1:]
			continue
		}
		end := strings.IndexByte(path[i:], ']')
		if end < 0 {
			return AppendLoc(loc, path[i+1:])
		}
		loc = AppendLoc(loc, strings.Trim(path[i+1:i+end], `"'`))
		path = strings.TrimPrefix(path[i+end+1:], ".")
	}
	return loc
}

// ParsePointer reads a JSON pointer (RFC 6901).
func ParsePointer(pointer string) []any {
	var loc []any
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		if loc = AppendLoc(loc, part); len(loc) == MaxLocDepth {
			break
		}
	}
	return loc
}

// AppendLoc adds one element: a number as int64, nothing for an empty one.
func AppendLoc(loc []any, s string) []any {
	s = CleanLine(s, maxLocElement)
	if s == "" || len(loc) >= MaxLocDepth {
		return loc
	}
	if n, ok := index(s); ok {
		return append(loc, n)
	}
	return append(loc, s)
}

// index reads an array index: digits without a leading zero that fit.
func index(s string) (int64, bool) {
	if len(s) > 18 || s == "" || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// locOf reads a location member: a path in a string, or an array of elements.
func locOf(n *Node) []any {
	switch {
	case n.Is(String):
		return ParseLoc(n.Str)
	case n.Is(Array):
		var loc []any
		for _, v := range n.Vals {
			switch {
			case v.Is(String):
				loc = AppendLoc(loc, v.Str)
			case v.Is(Number):
				loc = AppendLoc(loc, v.Str)
			case v.IsObject():
				// Yup and class-transformer give {key: "a"}; FluentValidation {name: "a"}.
				loc = AppendLoc(loc, FirstText(v, "key", "name", "property", "field"))
			}
		}
		return loc
	}
	return nil
}

// FirstText returns the first member that is a string that is not empty, or a
// number.
func FirstText(n *Node, keys ...string) string {
	for _, key := range keys {
		if s := strings.TrimSpace(n.Get(key).Scalar()); s != "" {
			return s
		}
	}
	return ""
}
