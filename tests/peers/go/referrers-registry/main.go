// Command referrers-registry serves an in-memory registry that has the referrers API, which Debian's docker-registry
// and `crane registry serve` have not. It prints its address, then serves until its standard input closes, so a test
// that dies takes its registry with it.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, registry.New(registry.WithReferrersSupport(true))))
}
