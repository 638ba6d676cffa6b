// Verifies a Sallyport-Assertion: go run verify.go ASSERTION JWKS_FILE AUDIENCE [ISSUER]
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

type jwk struct{ Kid, Kty, Crv, X, Y string }

func decode(part string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(part) }

func publicKey(key jwk) (*ecdsa.PublicKey, error) {
	x, errX := decode(key.X)
	y, errY := decode(key.Y)
	curve := elliptic.P256()
	found := &ecdsa.PublicKey{Curve: curve, X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	if _, err := found.ECDH(); errors.Join(errX, errY, err) != nil {
		return nil, errors.New("not a key of P-256")
	}
	return found, nil
}

func verifyAssertion(assertion string, keys []jwk, audience, issuer string, now time.Time) (map[string]any, error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWT")
	}
	var head struct{ Alg, Kid string }
	var claims map[string]any
	header, errHeader := decode(parts[0])
	payload, errPayload := decode(parts[1])
	signature, errSignature := decode(parts[2])
	if errors.Join(errHeader, errPayload, errSignature, json.Unmarshal(header, &head)) != nil {
		return nil, errors.New("not a JWT")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signed := false
	for _, each := range keys {
		if head.Alg != "ES256" || each.Kid != head.Kid || each.Crv != "P-256" || len(signature) != 64 {
			continue
		}
		if key, err := publicKey(each); err == nil {
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			signed = signed || ecdsa.Verify(key, digest[:], r, s)
		}
	}
	if !signed || json.Unmarshal(payload, &claims) != nil {
		return nil, errors.New("not signed by a known key")
	}
	if claims["iss"] != issuer || claims["aud"] != audience {
		return nil, errors.New("for somebody else")
	}
	if exp, ok := claims["exp"].(float64); !ok || float64(now.UnixMilli())/1000 >= exp {
		return nil, errors.New("expired")
	}
	return claims, nil
}

func main() {
	issuer := "sallyport"
	if len(os.Args) > 4 {
		issuer = os.Args[4]
	}
	var set struct{ Keys []jwk }
	text, err := os.ReadFile(os.Args[2])
	if err = errors.Join(err, json.Unmarshal(text, &set)); err == nil {
		var claims map[string]any
		if claims, err = verifyAssertion(os.Args[1], set.Keys, os.Args[3], issuer, time.Now()); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(claims)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
