// dirprov provisions volumes on one node: a directory for each claim, handed out as a
// volume of type "local". Not hostPath: a kubelet applies a pod's fsGroup only to "local".
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

type provisioner struct{ folder, node string }

// Provision makes the directory and describes it. Sizes are recorded, not enforced.
func (p *provisioner) Provision(
	_ context.Context, wanted controller.ProvisionOptions,
) (*core.PersistentVolume, controller.ProvisioningState, error) {
	claim := wanted.PVC
	path := filepath.Join(p.folder, claim.Namespace+"_"+claim.Name+"_"+wanted.PVName)
	// The group comes from the pod's fsGroup; others see nothing.
	if err := os.MkdirAll(path, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	mode := core.PersistentVolumeFilesystem
	here := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{p.node},
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: wanted.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *wanted.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{
				{MatchExpressions: []core.NodeSelectorRequirement{here}},
			}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the directory with all that is in it.
func (p *provisioner) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return os.RemoveAll(volume.Spec.Local.Path)
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	folder := flag.String("folder", "", "where the directories go")
	node := flag.String("node", "", "the node that has this folder")
	name := flag.String("name", "", "the provisioner's name in StorageClasses")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	client := kubernetes.NewForConfigOrDie(config)
	controller.NewProvisionController(
		ctx, client, *name, &provisioner{*folder, *node}, controller.LeaderElection(false),
	).Run(ctx)
}
