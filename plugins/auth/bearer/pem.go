package bearer

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Bounds of a PEM file. Several keys are for rotation: the old and the new one.
const (
	maxPEMBytes = 64 << 10
	maxPEMKeys  = 4
)

// parsePEM reads public keys and certificates. What isn't PEM around or between
// them is refused: it is a mistake more often than a comment.
func parsePEM(data []byte, configured []string) ([]*verifyKey, error) {
	if len(data) > maxPEMBytes {
		return nil, fmt.Errorf("public_key has %d bytes, at most %d are read", len(data), maxPEMBytes)
	}
	var keys []*verifyKey
	rest := bytes.TrimSpace(data)
	for len(rest) > 0 {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, errors.New("public_key is not PEM; it starts with -----BEGIN PUBLIC KEY-----")
		}
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, errors.New("public_key is broken PEM; each line must stand alone, from -----BEGIN to -----END")
		}
		rest = bytes.TrimSpace(after)
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		bound, err := bind("", key, configured, "")
		if errors.Is(err, errUnusedAlgorithm) {
			names, _ := publicFamily(key)
			return nil, fmt.Errorf("algorithms %s don't fit the public_key; it can be used for %s",
				strings.Join(configured, ", "), strings.Join(names, ", "))
		}
		if err != nil {
			return nil, fmt.Errorf("public_key: %w", err)
		}
		if keys = append(keys, bound); len(keys) > maxPEMKeys {
			return nil, fmt.Errorf("public_key has more than %d keys; keep those in use", maxPEMKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("public_key is empty")
	}
	for _, name := range configured {
		used := false
		for _, k := range keys {
			used = used || k.algorithm(name) != nil
		}
		if !used {
			return nil, fmt.Errorf("algorithm %s fits no key in public_key; take it away or add the key", name)
		}
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (key any, err error) {
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("public_key is a private key; keep that with the issuer and give the public half: openssl pkey -in private.pem -pubout")
	default:
		return nil, fmt.Errorf("public_key holds %s; use PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", quote(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("parsing public_key: %w", err)
	}
	return key, nil
}
