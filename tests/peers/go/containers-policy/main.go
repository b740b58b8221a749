// Command containers-policy asks the containers/image library, the one inside CRI-O, podman and skopeo, whether a
// policy.json lets an image run. Distributions ship skopeo with sigstore verification compiled out, so tests ask the
// library itself. An index is judged as a whole and then child by child, because a node pulls one child by digest.
//
// Exit status: 0 the policy accepts, 1 it rejects (the reason is on standard error), 2 the question could not be asked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

const usage = "usage: containers-policy --policy FILE --registries-d DIR [--insecure] docker://HOST/REPO[:TAG|@DIGEST]"

var errRejected = errors.New("rejected")

func main() {
	policy := flag.String("policy", "", "policy.json")
	registriesD := flag.String("registries-d", "", "folder whose YAML says use-sigstore-attachments")
	insecure := flag.Bool("insecure", false, "plain HTTP or an unverified certificate")
	flag.Parse()
	name, isDocker := strings.CutPrefix(flag.Arg(0), "docker:")
	if flag.NArg() != 1 || !isDocker || *policy == "" || *registriesD == "" {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	err := judge(context.Background(), name, *policy, system(*registriesD, *insecure))
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, errRejected) {
		os.Exit(1)
	}
	os.Exit(2)
}

// system names every file that the library would otherwise look up on the machine.
func system(registriesD string, insecure bool) *types.SystemContext {
	return &types.SystemContext{
		RegistriesDirPath:           registriesD,
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: registriesD,
		DockerInsecureSkipTLSVerify: types.NewOptionalBool(insecure),
	}
}

func judge(ctx context.Context, name, policyFile string, sys *types.SystemContext) error {
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	judgement, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer judgement.Destroy()
	ref, err := docker.ParseReference(name)
	if err != nil {
		return err
	}
	source, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return err
	}
	defer source.Close()
	instances, err := instancesOf(ctx, source)
	if err != nil {
		return err
	}
	for _, instance := range instances {
		if err := judgeInstance(ctx, judgement, source, instance); err != nil {
			return err
		}
	}
	return nil
}

// instancesOf lists the reference itself (nil) and, when it is an index, its children.
func instancesOf(ctx context.Context, source types.ImageSource) ([]*digest.Digest, error) {
	raw, mediaType, err := source.GetManifest(ctx, nil)
	if err != nil {
		return nil, err
	}
	instances := []*digest.Digest{nil}
	if !manifest.MIMETypeIsMultiImage(mediaType) {
		return instances, nil
	}
	index, err := manifest.ListFromBlob(raw, mediaType)
	if err != nil {
		return nil, err
	}
	for _, child := range index.Instances() {
		instances = append(instances, &child)
	}
	return instances, nil
}

func judgeInstance(ctx context.Context, judgement *signature.PolicyContext, source types.ImageSource, instance *digest.Digest) error {
	label := "reference"
	if instance != nil {
		label = instance.String()
	}
	accepted, err := judgement.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, instance))
	if !accepted {
		return fmt.Errorf("%s %w: %w", label, errRejected, err)
	}
	fmt.Println(label, "accepted")
	return nil
}
