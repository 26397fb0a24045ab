package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ainative/portcullis/plugins"
	"github.com/ainative/portcullis/plugins/auth/apikey"
)

// minPepper is the minimum length of a pepper, in bytes.
const minPepper = 32

// pepperOf makes a pepper of a secret. Its version is derived from the secret, so that a
// record finds its pepper in whatever order peppers are configured.
func pepperOf(what string, secret plugins.Secret) (apikey.Pepper, error) {
	if secret.Len() < minPepper {
		return apikey.Pepper{}, fmt.Errorf("%s has %d bytes and needs %d or more: make one with `openssl rand -base64 48`", what, secret.Len(), minPepper)
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte("portcullis pepper version"))
	version := binary.BigEndian.Uint32(mac.Sum(nil))>>1 | 1
	return apikey.Pepper{Version: int(version), Secret: secret}, nil
}

// keptPepper reads the pepper in the file. The first start creates it, readable by its
// owner only. An empty or broken file is an error: a new pepper would invalidate every
// key.
func keptPepper(path string) (plugins.Secret, error) {
	if path == "" {
		return plugins.Secret{}, errors.New("no pepper is configured: add `pepper {env.GATEWAY_PEPPER}` to the global gateway block")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makePepper(path)
	}
	if err != nil {
		return plugins.Secret{}, fmt.Errorf("reading the pepper: %w: make the file readable, or configure `pepper`", err)
	}
	secret := plugins.NewSecret(strings.TrimSpace(string(text)))
	if secret.Len() < minPepper {
		return plugins.Secret{}, fmt.Errorf("the pepper in %s is cut short: restore the file from a backup; API keys are worthless without it", path)
	}
	return secret, nil
}

func makePepper(path string) (plugins.Secret, error) {
	random := make([]byte, 48)
	if _, err := rand.Read(random); err != nil {
		return plugins.Secret{}, fmt.Errorf("making a pepper: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(random)
	// Linked into place, so that two processes that start at once use the same pepper, and
	// no reader sees half a file.
	temp, err := os.CreateTemp(filepath.Dir(path), ".pepper-*")
	if err != nil {
		return plugins.Secret{}, fmt.Errorf("keeping a new pepper: %w: make the directory writable, or configure `pepper`", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(text + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return plugins.Secret{}, fmt.Errorf("keeping a new pepper: %w", err)
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return plugins.Secret{}, fmt.Errorf("keeping a new pepper: %w", err)
	}
	return keptPepper(path)
}
