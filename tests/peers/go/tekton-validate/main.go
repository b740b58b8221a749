// Command tekton-validate asks Tekton's own code about YAML files and bundles: the strict decoding, the defaults and the
// validation that its admission webhook does, and its own reader of bundles.
//
//	tekton-validate FILE…         every document of the files; documents of other API groups are passed over
//	tekton-validate --bundle REF  every resource of a bundle in a registry
//
// A line for each resource: `ok WHERE Kind/name` or `wrong WHERE Kind/name: why`.
//
// Exit status: 0 all are valid, 1 one is not (or the bundle is none), 2 the question could not be asked.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/pipeline/pkg/remote"
	"github.com/tektoncd/pipeline/pkg/remote/oci"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/apis"
)

const usage = "usage: tekton-validate FILE... | --bundle REF"

// resource is what the webhook asks of every kind.
type resource interface {
	apis.Defaultable
	apis.Validatable
}

// kinds that the webhooks know, by `apiVersion Kind`.
var kinds = map[string]func() resource{
	"tekton.dev/v1 Task":                                func() resource { return &pipelinev1.Task{} },
	"tekton.dev/v1 Pipeline":                            func() resource { return &pipelinev1.Pipeline{} },
	"tekton.dev/v1 TaskRun":                             func() resource { return &pipelinev1.TaskRun{} },
	"tekton.dev/v1 PipelineRun":                         func() resource { return &pipelinev1.PipelineRun{} },
	"tekton.dev/v1beta1 StepAction":                     func() resource { return &pipelinev1beta1.StepAction{} },
	"triggers.tekton.dev/v1beta1 ClusterTriggerBinding": func() resource { return &triggersv1beta1.ClusterTriggerBinding{} },
	"triggers.tekton.dev/v1beta1 EventListener":         func() resource { return &triggersv1beta1.EventListener{} },
	"triggers.tekton.dev/v1beta1 Trigger":               func() resource { return &triggersv1beta1.Trigger{} },
	"triggers.tekton.dev/v1beta1 TriggerBinding":        func() resource { return &triggersv1beta1.TriggerBinding{} },
	"triggers.tekton.dev/v1beta1 TriggerTemplate":       func() resource { return &triggersv1beta1.TriggerTemplate{} },
}

var errWrong = errors.New("wrong")

func main() {
	err := run(context.Background(), os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, errWrong):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "--bundle" {
		return judgeBundle(ctx, args[1])
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return errors.New(usage)
	}
	var wrong error
	for _, file := range args {
		if err := judgeFile(ctx, file); errors.Is(err, errWrong) {
			wrong = err
		} else if err != nil {
			return err
		}
	}
	return wrong
}

func judgeFile(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var wrong error
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return wrong
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if judge(ctx, file, document) != nil {
			wrong = errWrong
		}
	}
}

// judgeBundle lists a bundle and gets each of its resources through Tekton's resolver, which also checks the contract.
func judgeBundle(ctx context.Context, ref string) error {
	resolver := oci.NewResolver(ref, authn.DefaultKeychain)
	listed, err := resolver.List(ctx)
	if err != nil {
		fmt.Printf("wrong %s: %v\n", ref, err)
		return errWrong
	}
	var wrong error
	for _, entry := range listed {
		encoded, err := resolved(ctx, resolver, entry)
		if err != nil {
			fmt.Printf("wrong %s %s/%s: %v\n", ref, entry.Kind, entry.Name, err)
			wrong = errWrong
		} else if judge(ctx, ref, encoded) != nil {
			wrong = errWrong
		}
	}
	return wrong
}

// resolved gets a resource by the words of its layer's annotations, and refuses one that calls itself something else.
func resolved(ctx context.Context, resolver remote.Resolver, entry remote.ResolvedObject) ([]byte, error) {
	object, _, err := resolver.Get(ctx, entry.Kind, entry.Name)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var head metav1.PartialObjectMetadata
	if err := json.Unmarshal(encoded, &head); err != nil {
		return nil, err
	}
	if head.APIVersion != entry.APIVersion || strings.ToLower(head.Kind) != entry.Kind || head.Name != entry.Name {
		return nil, fmt.Errorf("the layer of %s holds %s %s/%s", entry.APIVersion, head.APIVersion, head.Kind, head.Name)
	}
	return encoded, nil
}

// judge prints the verdict on one document; one that is not Tekton's has none.
func judge(ctx context.Context, where string, document []byte) error {
	encoded, err := utilyaml.ToJSON(document)
	var head metav1.PartialObjectMetadata
	if err == nil {
		err = json.Unmarshal(encoded, &head)
	}
	group, _, _ := strings.Cut(head.APIVersion, "/")
	if err == nil && group != "tekton.dev" && group != "triggers.tekton.dev" {
		return nil
	}
	if err == nil {
		err = validated(ctx, head.APIVersion+" "+head.Kind, encoded)
	}
	if err != nil {
		fmt.Printf("wrong %s %s/%s: %s\n", where, head.Kind, head.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
		return errWrong
	}
	fmt.Printf("ok %s %s/%s\n", where, head.Kind, head.Name)
	return nil
}

// validated does what the webhook does on creation: decode without unknown fields, set defaults, validate.
func validated(ctx context.Context, kind string, encoded []byte) error {
	empty, ok := kinds[kind]
	if !ok {
		return fmt.Errorf("Tekton serves no %s", kind)
	}
	found := empty()
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(found); err != nil {
		return err
	}
	ctx = apis.WithinCreate(ctx)
	found.SetDefaults(ctx)
	// A nil *FieldError in an error would not be nil.
	if wrong := found.Validate(ctx); wrong != nil {
		return wrong.Filter(apis.ErrorLevel)
	}
	return nil
}
