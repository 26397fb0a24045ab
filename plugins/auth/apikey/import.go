package apikey

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ainative/portcullis/plugins"
)

// The bounds of an import.
const (
	// MaxImport is the most keys in one file.
	MaxImport = 100_000
	// MinForeign is the shortest foreign key, in bytes: a shorter one can be guessed.
	MinForeign = 16

	maxField        = 256
	maxImportErrors = 20
)

// importColumns are the columns that an import may have; key or hash, and owner,
// must be there.
var importColumns = []string{"key", "hash", "owner", "name", "role", "tier", "scopes", "ip_allow", "expires_at"}

// ParseImport reads the keys of another system from CSV (RFC 4180) with a header
// row, in any order of columns:
//
//   - key: the key itself, in any format, 16 to 256 printable ASCII characters; or
//   - hash: SHA-256 of the key in hexadecimal, where nobody has the key any more;
//   - owner: the owner that the key acts for;
//   - name, role, tier: optional;
//   - scopes, ip_allow: optional, separated by spaces, commas or semicolons;
//   - expires_at: optional, RFC 3339 or a date (its first moment in UTC).
//
// It returns records that are ready to be created. Keys are hashed under the
// current pepper; of a hash the version is Unpeppered. A Scheme finds both only
// with Config.Foreign, unless the keys are ones that the gateway made.
//
// The error names the lines at fault, the first 20, and never what a key column
// holds. No record is returned with it.
func ParseImport(r io.Reader, peppers *Peppers, now time.Time) ([]plugins.APIKey, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	rows.TrimLeadingSpace = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("reading the import: the file is empty; its first line must name the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the import: %w", err)
	}
	columns, err := readHeader(header)
	if err != nil {
		return nil, fmt.Errorf("reading the import: line 1: %w", err)
	}

	var keys []plugins.APIKey
	var faults []error
	firstLine := make(map[Hash]int)
	for len(faults) < maxImportErrors {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// A quote that is never closed swallows the rest: nothing after it can be
			// trusted.
			faults = append(faults, err)
			break
		}
		line, _ := rows.FieldPos(0)
		if len(keys) == MaxImport {
			faults = append(faults, fmt.Errorf("line %d: more than %d keys; split the file", line, MaxImport))
			break
		}
		key, identity, err := columns.read(row, peppers, now)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		if first, ok := firstLine[identity]; ok {
			faults = append(faults, fmt.Errorf("line %d: the same key as on line %d", line, first))
			continue
		}
		firstLine[identity] = line
		keys = append(keys, key)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("reading the import: %w", errors.Join(faults...))
	}
	return keys, nil
}

// columnIndex says which column stands where.
type columnIndex map[string]int

func readHeader(header []string) (columnIndex, error) {
	columns := make(columnIndex, len(header))
	for i, name := range header {
		// Spreadsheets write a byte order mark.
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(importColumns, name) {
			return nil, fmt.Errorf("column %d has an unknown name; known are %s", i+1, strings.Join(importColumns, ", "))
		}
		if _, ok := columns[name]; ok {
			return nil, fmt.Errorf("column %q comes twice", name)
		}
		columns[name] = i
	}
	_, key := columns["key"]
	_, hash := columns["hash"]
	if _, owner := columns["owner"]; !owner || !key && !hash {
		return nil, errors.New("the columns owner, and key or hash, must be there")
	}
	return columns, nil
}

func (c columnIndex) field(row []string, name string) string {
	i, ok := c[name]
	if !ok {
		return ""
	}
	// The reader reuses the memory of a row.
	return strings.Clone(strings.TrimSpace(row[i]))
}

// read makes the record of a row. The identity is SHA-256 of the key, by which a
// key and a hash of the same file are known to be the same.
func (c columnIndex) read(row []string, peppers *Peppers, now time.Time) (plugins.APIKey, Hash, error) {
	var key plugins.APIKey
	var identity Hash
	value, digest := c.field(row, "key"), c.field(row, "hash")
	switch {
	case value == "" && digest == "":
		return key, identity, errors.New("there is neither a key nor a hash")
	case value != "" && digest != "":
		return key, identity, errors.New("there is a key and a hash; give one of them")
	case value != "":
		if err := checkForeign(value); err != nil {
			return key, identity, err
		}
		h := peppers.Sum(value)
		key.Hash, key.PepperVersion, key.Prefix = h[:], peppers.Version(), DisplayPrefix(value)
		identity = sha256.Sum256([]byte(value))
	default:
		raw, err := hex.DecodeString(digest)
		if err != nil || len(raw) != HashSize {
			return key, identity, fmt.Errorf("the hash is not SHA-256 in hexadecimal, %d digits", 2*HashSize)
		}
		key.Hash, key.PepperVersion = raw, Unpeppered
		identity = Hash(raw)
	}

	key.Owner, key.Name = c.field(row, "owner"), c.field(row, "name")
	key.Role, key.Tier = c.field(row, "role"), c.field(row, "tier")
	key.Scopes, key.IPAllow = splitList(c.field(row, "scopes")), splitList(c.field(row, "ip_allow"))
	if key.Owner == "" {
		return key, identity, errors.New("there is no owner")
	}
	for _, f := range []struct{ name, value string }{
		{"owner", key.Owner}, {"name", key.Name}, {"role", key.Role}, {"tier", key.Tier}, {"scopes", strings.Join(key.Scopes, " ")},
	} {
		if err := checkText(f.value); err != nil {
			return key, identity, fmt.Errorf("the %s %w", f.name, err)
		}
	}
	if _, err := ParseIPAllow(key.IPAllow); err != nil {
		return key, identity, err
	}
	var err error
	if key.ExpiresAt, err = parseExpiry(c.field(row, "expires_at")); err != nil {
		return key, identity, err
	}
	key.CreatedAt = now.UTC().Truncate(time.Second)
	key.ID, err = NewID()
	return key, identity, err
}

// checkForeign holds a key to what can come as a credential.
func checkForeign(value string) error {
	if len(value) < MinForeign || len(value) > MaxLength {
		return fmt.Errorf("the key has %d bytes, not %d to %d", len(value), MinForeign, MaxLength)
	}
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return errors.New("the key has a character that no header can carry; printable ASCII without spaces can")
		}
	}
	return nil
}

func checkText(s string) error {
	if len(s) > maxField {
		return fmt.Errorf("has %d bytes, more than %d", len(s), maxField)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("has control characters or is not UTF-8")
	}
	return nil
}

func splitList(s string) []string {
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
	if len(fields) == 0 {
		return nil
	}
	return fields
}

func parseExpiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, errors.New("expires_at is neither RFC 3339, such as 2027-01-31T00:00:00Z, nor a date, such as 2027-01-31")
}
