// Command containers-sign copies an image and signs it on the way with the containers/image library, as
// `skopeo copy --all --sign-by-sigstore-private-key` does. Distributions ship skopeo with sigstore signatures compiled
// out, and its own module is not to be had from the Go proxy, so tests ask the library itself.
//
// The password of the key is in COSIGN_PASSWORD. Of an index, every child is signed and then the index.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

const usage = "usage: containers-sign --key FILE --registries-d DIR [--identity NAME] [--insecure] docker://SOURCE docker://TARGET"

func main() {
	key := flag.String("key", "", "sigstore private key")
	registriesD := flag.String("registries-d", "", "folder whose YAML says use-sigstore-attachments")
	identity := flag.String("identity", "", "the name to sign [default: the target's]")
	insecure := flag.Bool("insecure", false, "plain HTTP or an unverified certificate")
	flag.Parse()
	if flag.NArg() != 2 || *key == "" || *registriesD == "" {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	// names every file that the library would otherwise look up on the machine
	sys := &types.SystemContext{
		RegistriesDirPath:           *registriesD,
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: *registriesD,
		DockerInsecureSkipTLSVerify: types.NewOptionalBool(*insecure),
	}
	if err := sign(context.Background(), sys, *key, *identity, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sign(ctx context.Context, sys *types.SystemContext, key, identity, from, to string) error {
	source, err := docker.ParseReference(strings.TrimPrefix(from, "docker:"))
	if err != nil {
		return err
	}
	target, err := docker.ParseReference(strings.TrimPrefix(to, "docker:"))
	if err != nil {
		return err
	}
	options := copy.Options{
		SourceCtx:                        sys,
		DestinationCtx:                   sys,
		ImageListSelection:               copy.CopyAllImages,
		PreserveDigests:                  true,
		SignBySigstorePrivateKeyFile:     key,
		SignSigstorePrivateKeyPassphrase: []byte(os.Getenv("COSIGN_PASSWORD")),
	}
	if identity != "" {
		if options.SignIdentity, err = reference.ParseNamed(identity); err != nil {
			return err
		}
	}
	anything, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	defer anything.Destroy()
	_, err = copy.Image(ctx, anything, target, source, &options)
	return err
}
