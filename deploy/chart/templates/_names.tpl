{{/* Names, labels and what both kinds of pods share. */}}

{{- define "scribewire.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "scribewire.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scribewire.labels" -}}
{{ include "scribewire.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "scribewire.tag" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "scribewire.workerSecret" -}}
{{ .Values.workerSecret.existingSecret | default (printf "%s-worker" (include "scribewire.name" .)) }}
{{- end }}

{{/* Whole seconds of server.grace_s. */}}
{{- define "scribewire.grace" -}}
{{ index .Values.settings "server.grace_s" | default 20 | ceil | int }}
{{- end }}

{{/* Of a pod: who it runs as, and from where its image comes. */}}
{{- define "scribewire.pod" -}}
# The variables that these would bring begin like our settings, which know none of them.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of a container. */}}
{{- define "scribewire.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ include "scribewire.name" . }}}
{{- end }}

{{- define "scribewire.secretVariable" -}}
- name: SCRIBEWIRE_WORKER__SECRET
  valueFrom:
    secretKeyRef:
      name: {{ include "scribewire.workerSecret" . }}
      key: {{ .Values.workerSecret.key }}
{{- end }}

{{/* Where the scheduler puts the pods of a component, given as a list of the root and its name. */}}
{{- define "scribewire.placement" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $values := index $root.Values $component -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "scribewire.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
