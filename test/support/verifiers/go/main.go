// Reads and answers as Verify.java does: a secret whsec_ is left to the library, a public key whpk_ to Go's own crypto/ed25519.
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if err := verify(strings.Fields(lines.Text())); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("valid")
		}
	}
}

func verify(fields []string) error {
	for i, field := range fields {
		decoded, err := base64.StdEncoding.DecodeString(field)
		if err != nil {
			return err
		}
		fields[i] = string(decoded)
	}
	secret, id, timestamp, signature, body := fields[0], fields[1], fields[2], fields[3], fields[4]
	if key, isPublic := strings.CutPrefix(secret, "whpk_"); isPublic {
		return verifyAsymmetric(key, id+"."+timestamp+"."+body, signature)
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	headers := http.Header{}
	headers.Set("webhook-id", id)
	headers.Set("webhook-timestamp", timestamp)
	headers.Set("webhook-signature", signature)
	return webhook.Verify([]byte(body), headers)
}

func verifyAsymmetric(key, signed, signatures string) error {
	public, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return err
	}
	for _, each := range strings.Fields(signatures) {
		encoded, isAsymmetric := strings.CutPrefix(each, "v1a,")
		if !isAsymmetric {
			continue
		}
		if signature, err := base64.StdEncoding.DecodeString(encoded); err == nil && ed25519.Verify(public, []byte(signed), signature) {
			return nil
		}
	}
	return errors.New("no v1a signature matches")
}
