{{/* What names begin with. That of a Service begins with a letter and has no dot, unlike that of a release. */}}
{{- define "dj.name" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if not (regexMatch "^[a-z]" $name) }}{{- $name = printf "dj-%s" $name }}{{- end -}}
{{- $name | trunc 35 | trimSuffix "-" -}}
{{- end -}}

{{- define "dj.labels" -}}
app.kubernetes.io/name: dj-workers
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Labels that select the pods of a part: a list of root, component and group. */}}
{{- define "dj.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: dj-workers
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
datajoint.io/group: {{ index . 2 | quote }}
{{- end -}}

{{- define "dj.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}
{{ include "dj.name" . }}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "dj.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Environment of every container; with a second element that is true, also the broker. */}}
{{- define "dj.environment" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.database }}
- {name: DJ_BACKEND, value: {{ .backend | quote }}}
- {name: DJ_HOST, value: {{ .host | quote }}}
- {name: DJ_PORT, value: {{ .port | quote }}}
{{- if eq .backend "postgresql" }}
- {name: DJ_DATABASE_NAME, value: {{ .name | quote }}}
{{- end }}
- name: DJ_USER
  valueFrom: {secretKeyRef: {name: {{ .secret.name | quote }}, key: {{ .secret.userKey | quote }}}}
- name: DJ_PASS
  valueFrom: {secretKeyRef: {name: {{ .secret.name | quote }}, key: {{ .secret.passwordKey | quote }}}}
{{- end }}
- {name: DJ_JOBS_SHUTDOWN_TIMEOUT, value: {{ $root.Values.shutdownTimeout | quote }}}
{{- range $name, $value := $root.Values.settings }}
{{- if regexMatch "PASS|SECRET|TOKEN|BROKER_URL|WEBHOOK" $name }}
{{- fail (printf "settings.%s is secret: put it into a Secret, and name that in environmentSecrets, database.secret or celery.broker.secret" $name) }}
{{- end }}
{{- if eq $name "DJ_WORKER_METRICS_PORT" }}
{{- fail (printf "settings.%s would differ from the port of the probes: set metricsPort, which all follow" $name) }}
{{- end }}
{{- if eq $name "DJ_WORKER_METRICS_HOST" }}
{{- fail (printf "settings.%s would be for workers alone: set metricsHost, which all follow" $name) }}
{{- end }}
{{- if regexMatch "^DJ_(DATABASE_)?(BACKEND|HOST|PORT|USER|NAME)$" $name }}
{{- fail (printf "settings.%s would be there twice: set database" $name) }}
{{- end }}
{{- if contains "SHUTDOWN_TIMEOUT" $name }}
{{- fail (printf "settings.%s would differ from the grace period of the pods: set shutdownTimeout, which both follow" $name) }}
{{- end }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- if index . 1 }}
- name: DJ_CELERY_BROKER_URL
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.celery.broker.secret.name | quote }}
      key: {{ $root.Values.celery.broker.secret.urlKey | quote }}
{{- end }}
{{- end -}}

{{- define "dj.environmentFrom" -}}
{{- range .Values.environmentSecrets }}
- secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end -}}

{{- define "dj.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- if .gpus -}}
{{- $limits := merge (dict .gpuResource (int .gpus)) (default dict $resources.limits) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{ toYaml $resources }}
{{- end -}}

{{/* One Deployment. Takes root, component, group, settings, arguments, hasBroker, replicas (null: KEDA's), port. */}}
{{- define "dj.deployment" -}}
{{- $root := .root -}}
{{- range .arguments }}
{{- if hasPrefix "--shutdown-timeout" (toString .) }}
{{- fail (printf "the arguments of %s %s have --shutdown-timeout, which the grace period of the pods would not follow: set shutdownTimeout" $.component $.group) }}
{{- end }}
{{- end -}}
{{- range .settings.arguments }}
{{- if hasPrefix "--metrics-port" (toString .) }}
{{- fail (printf "the arguments of %s %s have --metrics-port, which its probes would not follow: set metricsPort" $.component $.group) }}
{{- end }}
{{- if hasPrefix "--metrics-host" (toString .) }}
{{- fail (printf "the arguments of %s %s have --metrics-host, which probes might not reach: set metricsHost" $.component $.group) }}
{{- end }}
{{- end -}}
{{- range $label, $_ := include "dj.selector" (list $root .component .group) | fromYaml }}
{{- if hasKey (default dict $root.Values.podLabels) $label }}
{{- fail (printf "podLabels.%s is what pods are selected by: name the label otherwise" $label) }}
{{- end }}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "dj.name" $root }}-{{ .component }}-{{ .group }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "dj.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    datajoint.io/group: {{ .group | quote }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ int .replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "dj.selector" (list $root .component .group) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "dj.selector" (list $root .component .group) | nindent 8 }}
        {{- with $root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "dj.serviceAccount" $root | quote }}
      automountServiceAccountToken: false
      enableServiceLinks: false  # variables of a Service named dj-jobs would be settings that do not exist
      terminationGracePeriodSeconds: {{ add (int $root.Values.shutdownTimeout) 15 }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . | quote }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "dj.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            {{- toYaml .arguments | nindent 12 }}
          env:
            {{- include "dj.environment" (list $root .hasBroker) | nindent 12 }}
          {{- with include "dj.environmentFrom" $root }}
          envFrom:
            {{- . | nindent 12 }}
          {{- end }}
          {{- if .port }}
          ports:
            - {name: metrics, containerPort: {{ .port }}}
          startupProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 5
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 30
            timeoutSeconds: 6
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 15
            timeoutSeconds: 6
          {{- end }}
          resources:
            {{- include "dj.resources" .settings | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $root.Values.pipeline.configMap }}
            - {name: pipeline, mountPath: /pipeline, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with $root.Values.pipeline.configMap }}
        - name: pipeline
          configMap: {name: {{ . | quote }}}
        {{- end }}
      {{- with .settings.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .settings.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .settings.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* A disruption budget. Takes root, component, group. */}}
{{- define "dj.budget" -}}
{{- $root := .root -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "dj.name" $root }}-{{ .component }}-{{ .group }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "dj.labels" $root | nindent 4 }}
spec:
  maxUnavailable: {{ $root.Values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "dj.selector" (list $root .component .group) | nindent 6 }}
{{- end -}}
